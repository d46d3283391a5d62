// One short outage of each kind (redis-outages.ts); `npm run test:faults` plays them with 20 s.

import { describe, test } from 'bun:test';
import { OUTAGES, outageRound } from './redis-outages.ts';

describe.concurrent('runs end as they would have, once, when for a while Redis was', () => {
  for (const outage of OUTAGES) test(outage.name, () => outageRound(outage, 3_000), 120_000);
});
