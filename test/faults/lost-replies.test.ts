// Writes that Redis applied and whose reply was lost (lost-replies.ts); `npm run test:faults` plays them again and again.

import { describe, test } from 'bun:test';
import { LOST_REPLIES, lostReplyRound } from './lost-replies.ts';

describe.concurrent('applied, and the reply lost:', () => {
  for (const lost of LOST_REPLIES) test(lost.name, () => lostReplyRound(lost), 120_000);
});
