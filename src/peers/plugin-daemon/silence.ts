// Notices when a peer says nothing for too long, with one timer per exchange instead of one per read: reads only note
// the time, and the timer re-arms itself for what is left (spec 03 §2.1: the read time-out restarts on every read).

/** Watches the waits of one exchange. */
export interface SilenceWatch {
  /** Somebody waits for the peer from now on. */
  begin(): void;
  /** The peer has answered. */
  end(): void;
  /** No more waits. */
  stop(): void;
}

/** Calls `onSilence` once, when a single wait has lasted `limitMs`. Time between waits does not count. */
export function watchSilence(limitMs: number, onSilence: () => void): SilenceWatch {
  let since = -1;
  let timer: Timer | null = null;

  const fire = (): void => {
    const waited = since < 0 ? 0 : performance.now() - since;
    // Timers may fire a fraction of a millisecond early.
    if (waited + 1 >= limitMs && since >= 0) {
      timer = null;
      onSilence();
      return;
    }
    timer = setTimeout(fire, limitMs - waited);
  };

  return {
    begin() {
      since = performance.now();
      timer ??= setTimeout(fire, limitMs);
    },
    end() {
      since = -1;
    },
    stop() {
      if (timer !== null) clearTimeout(timer);
      timer = null;
      since = -1;
    },
  };
}
