// What makes two creations one (issue 5, item 6): the caller's key and what it asked for, as digests. The store keeps them
// and decides, so that it holds among processes and however many callers come at once.

import { jsonDumps, stringifyJson } from '../wiretext/json.ts';
import type { Deduplication } from './ports.ts';
import type { Submission } from './submission.ts';

/** Setting DIFY_AGENT_IDEMPOTENCY: `on`, `strict` (the same key for another request is refused) or `off` (as the reference). */
export type IdempotencyMode = 'on' | 'strict' | 'off';

/**
 * By what a creation is found again; null: it is a run of its own (no key, an empty one, or `off`). The same key with
 * another request is another run unless strict: a node that resumes may use its key again (spec 07 §2.2).
 */
export function deduplicationOf({ request, snapshotPolicy }: Submission, mode: IdempotencyMode): Deduplication | null {
  const key = request.idempotency_key;
  if (mode === 'off' || key === null || key === '') return null;
  return {
    key: sha256(key),
    fingerprint: sha256(`${snapshotPolicy}\n${exactText(request)}`),
    strict: mode === 'strict',
  };
}

/** The validated request, number texts and key order kept: whatever a run could tell apart is told apart. */
function exactText(request: Submission['request']): string {
  try {
    return stringifyJson(request, { nonFinite: 'throw' });
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    return jsonDumps(request); // has NaN and the infinities, which are null otherwise; slower
  }
}

function sha256(text: string): string {
  return new Bun.CryptoHasher('sha256').update(text).digest('hex');
}
