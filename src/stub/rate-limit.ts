// How often the holder of one token may ask: a bucket per token that fills steadily. Bounded: the token that was used longest
// ago makes room, and starts with a full bucket again.

/** Bursts: what is allowed in this many seconds may come at once. */
const BURST_SECONDS = 10;
/** Tokens that are remembered. */
const MAX_BUCKETS = 10_000;

/** Counts requests. Times in milliseconds. */
export interface RateLimit {
  /** Counts one request: 0 when it may pass, else the seconds after which the next one may. */
  take(tokenId: string, nowMs: number): number;
  readonly size: number;
}

interface Bucket {
  left: number;
  atMs: number;
}

/** `perSecond` requests on average; 0: as many as one likes. */
export function createRateLimit(perSecond: number, max = MAX_BUCKETS): RateLimit {
  const buckets = new Map<string, Bucket>();
  const capacity = Math.max(perSecond * BURST_SECONDS, 1);

  return {
    take(tokenId, nowMs) {
      if (perSecond === 0) return 0;
      const bucket = buckets.get(tokenId) ?? { left: capacity, atMs: nowMs };
      // A clock that was set back gives nothing and takes nothing.
      const passed = Math.max(nowMs - bucket.atMs, 0) / 1000;
      bucket.left = Math.min(bucket.left + passed * perSecond, capacity);
      bucket.atMs = nowMs;
      buckets.delete(tokenId);
      buckets.set(tokenId, bucket); // last: it was used now
      for (const oldest of buckets.keys()) {
        if (buckets.size <= max) break;
        buckets.delete(oldest);
      }
      if (bucket.left < 1) return Math.max(Math.ceil((1 - bucket.left) / perSecond), 1);
      bucket.left -= 1;
      return 0;
    },
    get size() {
      return buckets.size;
    },
  };
}
