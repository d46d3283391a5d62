// Tokens that are over before their time, because their run is. Bounded; the oldest make room, which then count as valid again
// until they expire. No clock decides here: one that was ahead and is set back brings no token back to life. Only of this
// process: tokens carry no state.

/** Over this many the oldest are forgotten: about 10 MB. */
const MAX_REVOKED = 100_000;

/** Revoked token ids. */
export interface Revocations {
  add(tokenId: string): void;
  has(tokenId: string): boolean;
  readonly size: number;
}

/** Nothing is revoked yet. */
export function createRevocations(max = MAX_REVOKED): Revocations {
  // In the order in which they were revoked: nearly the order in which they expire, since all live equally long.
  const revoked = new Set<string>();

  return {
    add(tokenId) {
      revoked.add(tokenId);
      for (const oldest of revoked) {
        if (revoked.size <= max) break;
        revoked.delete(oldest);
      }
    },
    has: (tokenId) => revoked.has(tokenId),
    get size() {
      return revoked.size;
    },
  };
}
