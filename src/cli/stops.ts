// Why a server process ends: the signals and the accidents, and what each of them means. serve.ts acts on it.

import type { Logger } from '../observe/logger.ts';
import type { ProcessEvents } from './io.ts';

/** How the process was asked to end. */
export interface StopReason {
  /** `SIGTERM`, `unhandled rejection` … */
  readonly cause: string;
  /** 0 for a wish, 1 for an accident. */
  readonly exitCode: number;
}

/** The watch over one process. */
export interface Stops {
  /** Resolves at the first signal or accident. */
  readonly requested: Promise<StopReason>;
  /** Aborted when there is no time to wait for running runs. They are finalised all the same. */
  readonly hurry: AbortSignal;
  /** 1 once an accident happened, whatever came first. */
  exitCode(): number;
}

// SIGTERM: an orchestrator (systemd, Docker, Kubernetes) wants us gone and will send SIGKILL when its patience ends.
// SIGINT: somebody pressed Ctrl-C. Both mean: stop taking runs, let the running ones end within the grace, then leave.
// The second of either, in any mix, means "now": the wait ends, and every run is still finalised, because a run that
// nobody finalises stays `running` for its whole retention.
// SIGHUP keeps its default: `nohup` sets it to be ignored, and a listener would undo that.
// SIGPIPE needs nothing: Bun ignores it, and the log's sink survives a closed reader (observe/sink.ts).
const SIGNALS = ['SIGTERM', 'SIGINT'] as const;

// An accident leaves the process in a state that nobody planned. It is logged, every run is finalised in a hurry, and the
// supervisor starts a fresh process.
const ACCIDENTS = [
  ['uncaughtException', 'uncaught exception'],
  ['unhandledRejection', 'unhandled rejection'],
] as const;

/**
 * Watches for the end of the process, until its end: the signals are never given back, or the last of several would kill
 * the process between its orderly stop and its exit, with 143 instead of 0 and the log's last lines lost.
 */
export function watchStops(events: ProcessEvents, logger: Logger): Stops {
  const hurry = new AbortController();
  const { promise, resolve } = Promise.withResolvers<StopReason>();
  let asked = false;
  let exitCode = 0;
  for (const signal of SIGNALS) {
    events.on(signal, () => {
      if (asked) {
        if (!hurry.signal.aborted) {
          logger.warn('second signal: stopping without waiting for running runs', { signal });
        }
        hurry.abort();
        return;
      }
      asked = true;
      logger.info('stopping', { signal });
      resolve({ cause: signal, exitCode: 0 });
    });
  }
  for (const [event, cause] of ACCIDENTS) {
    events.on(event, (error) => {
      logger.error(cause, { error, stack: error instanceof Error ? error.stack : undefined });
      asked = true;
      exitCode = 1;
      hurry.abort();
      resolve({ cause, exitCode: 1 });
    });
  }
  return { requested: promise, hurry: hurry.signal, exitCode: () => exitCode };
}
