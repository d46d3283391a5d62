// Tokens that are over before their time, because their run is: remembered until they would have expired anyway. Bounded; the
// oldest make room, which then count as valid again until they expire. Only of this process: tokens carry no state.

/** Over this many the oldest are forgotten: about 10 MB. */
const MAX_REVOKED = 100_000;

/** Revoked token ids. Times in seconds. */
export interface Revocations {
  add(tokenId: string, expiresAt: number, now: number): void;
  has(tokenId: string): boolean;
  readonly size: number;
}

/** Nothing is revoked yet. */
export function createRevocations(max = MAX_REVOKED): Revocations {
  // In the order in which they were revoked. Nearly the order in which they expire, since all live equally long.
  const revoked = new Map<string, number>();

  return {
    add(tokenId, expiresAt, now) {
      if (expiresAt <= now || revoked.has(tokenId)) return;
      revoked.set(tokenId, expiresAt);
      for (const [id, end] of revoked) {
        if (end > now && revoked.size <= max) break;
        revoked.delete(id);
      }
    },
    has: (tokenId) => revoked.has(tokenId),
    get size() {
      return revoked.size;
    },
  };
}
