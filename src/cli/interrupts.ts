// Ctrl-C while a command talks to a server: the first one asks for the end of the run that is shown, if it is this command's
// own, the second leaves. Before the run has an id the wish waits for it.

import type { Io } from './io.ts';

export interface Interrupts {
  /** Aborts with `Interrupted` when the command shall leave. */
  readonly signal: AbortSignal;
  /** Calls `end` at the first Ctrl-C, or at once when that has been. Until the next call. */
  onFirst(end: () => void): void;
  /** Whether there was one. */
  readonly happened: boolean;
  /** Gives Ctrl-C back. */
  release(): void;
}

/** Why a command left before the end. */
export class Interrupted extends Error {
  constructor() {
    super('interrupted');
  }
}

/** `leaveAtOnce`: the first one leaves. */
export function watchInterrupts({ events }: Io, leaveAtOnce: boolean): Interrupts {
  const leave = new AbortController();
  let count = 0;
  let first: (() => void) | null = null;
  const interrupted = (): void => {
    count += 1;
    if (leaveAtOnce || count > 1) leave.abort(new Interrupted());
    else first?.();
  };
  events.on('SIGINT', interrupted);
  return {
    signal: leave.signal,
    onFirst(end) {
      first = end;
      if (count > 0) end();
    },
    get happened() {
      return count > 0;
    },
    release: () => void events.off('SIGINT', interrupted),
  };
}
