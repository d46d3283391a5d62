// What tokens said that were opened before: a job asks again and again with the same one, and need not be decrypted each time.
// Keyed by digest, so that no token lies about in memory. Bounded; the one that came first makes room.

import type { Claims } from './claims.ts';

/** Claims are about a kilobyte, at most eight. */
const MAX_OPENED = 2_048;

/** Claims of tokens that were sealed by us. Whether they are in time, or revoked, is asked anew each time. */
export interface OpenedTokens {
  get(token: string): Claims | undefined;
  add(token: string, claims: Claims): void;
  readonly size: number;
}

/** Nothing is known yet. */
export function createOpenedTokens(max = MAX_OPENED): OpenedTokens {
  const opened = new Map<string, Claims>();
  return {
    get: (token) => opened.get(digest(token)),
    add(token, claims) {
      opened.set(digest(token), claims);
      for (const first of opened.keys()) {
        if (opened.size <= max) break;
        opened.delete(first);
      }
    },
    get size() {
      return opened.size;
    },
  };
}

/** Two texts that a caller could find with the same one would be taken for each other: no weaker hash will do. */
function digest(token: string): string {
  return Bun.SHA256.hash(token, 'base64');
}
