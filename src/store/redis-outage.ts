// Whether the store is in trouble, since when, and whether that has lasted longer than running runs wait for it
// (DIFY_AGENT_STORE_OUTAGE_SECONDS). Says nothing about what to do then.

/** The trouble of one store. */
export interface Outage {
  /** What keeps writes from being stored; null: nothing. */
  readonly reason: Error | null;
  /** It lasts longer than it may. */
  readonly exhausted: boolean;
  /** There is trouble; `since` is `performance.now()` of when the server was last heard of (default: now). The first reason stays. */
  begin(reason: unknown, since?: number): void;
  /** A write was answered. */
  end(): void;
  /** No trouble begins any more. */
  close(): void;
}

/** `limitMs`: how long it may last; `onExhausted` is called once per outage, when it has lasted that long. */
export function createOutage(limitMs: number, onExhausted: () => void): Outage {
  let reason: Error | null = null;
  let since = 0;
  let exhausted = false;
  let closed = false;
  let timer: ReturnType<typeof setTimeout> | undefined;

  function exhaust(): void {
    exhausted = true;
    onExhausted();
  }

  return {
    get reason() {
      return reason;
    },
    get exhausted() {
      return exhausted;
    },
    begin(error, from = performance.now()) {
      if (closed || (reason !== null && (exhausted || from >= since))) return;
      reason ??= error instanceof Error ? error : new Error(String(error));
      since = from;
      clearTimeout(timer);
      const left = limitMs - (performance.now() - from);
      if (left <= 0) exhaust();
      else timer = setTimeout(exhaust, left);
    },
    end() {
      clearTimeout(timer);
      reason = null;
      exhausted = false;
    },
    close() {
      closed = true;
      clearTimeout(timer);
    },
  };
}
