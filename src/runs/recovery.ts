// Runs whose process died: this one ends them, so that none is `running` for ever (spec README "Settled": reason
// `worker_lost`). Once before it accepts requests; in a shared store again and again, for the processes beside it die, too.
// Whose runs are lost is the store's to say, by leases; two processes may find the same run, and one ends it.

import type { Clock } from '../base/clock.ts';
import { CodedError, errorText } from '../base/errors.ts';
import type { Logger } from '../observe/logger.ts';
import { NO_PROBE, type Probe } from '../observe/probe.ts';
import type { TerminalEvent } from '../protocol/events.ts';
import type { Wire } from '../protocol/wire.ts';
import { StoreUnavailableError } from './errors.ts';
import type { RunStore } from './ports.ts';
import type { RunReason } from './reasons.ts';
import { finaliseRun } from './sink.ts';

/** Lost runs that are being ended at once: a process that died may have had ten thousand. */
const AT_ONCE = 64;

/** The terminal event of a run whose process died, unless a cancel was accepted: then it is `run_cancelled`. */
export const workerLostEvent: TerminalEvent = {
  type: 'run_failed',
  error: 'the server process that executed this run has ended',
  reason: 'worker_lost',
  errorType: null,
  snapshot: null,
  usage: null,
};

export interface RecoveryDeps {
  readonly store: RunStore;
  readonly wire: Wire;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Default: nobody listens. */
  readonly probe?: Probe;
}

/** Looks for lost runs and ends them. */
export interface Recovery {
  /**
   * Ends the runs that are lost now, then looks again every `store.recoveryIntervalMs`. To be awaited before the server
   * accepts requests.
   * @throws CodedError `recovery_failed`, one line for the operator, when the store is this process's alone: it cannot be
   * written, and nobody would look again. In a shared store a failure is logged and the next look tries again.
   */
  start(): Promise<void>;
  /** Looks no more. What is being written is still written. */
  stop(): void;
}

export function createRecovery(deps: RecoveryDeps): Recovery {
  const { store, logger, probe = NO_PROBE } = deps;
  const interval = store.recoveryIntervalMs;
  let stopped = false;
  let timer: ReturnType<typeof setTimeout> | undefined;

  /** Rejects with the first error, when everything else was tried. */
  async function look(): Promise<void> {
    const lost = [...(await store.listLost())];
    let ended = 0;
    const failures: unknown[] = [];

    async function work(): Promise<void> {
      for (let runId = lost.pop(); runId !== undefined && !stopped; runId = lost.pop()) {
        try {
          const outcome = await finaliseRun(deps, runId, workerLostEvent, 'finaliseLost');
          if (outcome.applied) {
            ended += 1;
            tellEnd(runId, outcome.ending);
          }
        } catch (error) {
          failures.push(error);
          if (error instanceof StoreUnavailableError) return; // the next ones would fare no better
        }
      }
    }

    await Promise.all(Array.from({ length: Math.min(AT_ONCE, lost.length) }, work));
    if (ended > 0) {
      probe.swept(ended);
      logger.warn('ended runs of a process that died', { runs: ended });
    }
    if (failures.length > 0) throw failures[0];
  }

  /** What its own process could not say any more. */
  function tellEnd(runId: string, { type }: TerminalEvent): void {
    const outcome = type === 'run_cancelled' ? 'cancelled' : 'failed';
    logger.info('run ended', { run_id: runId, outcome, reason: 'worker_lost' satisfies RunReason });
  }

  function tell(error: unknown): void {
    if (!stopped) logger.warn('runs of processes that died could not be ended yet', { error });
  }

  /** One look after the other, however long one takes. */
  function lookLater(ms: number): void {
    timer = setTimeout(async () => {
      await look().catch(tell);
      if (!stopped) lookLater(ms);
    }, ms);
  }

  return {
    async start() {
      if (interval === null) {
        await look().catch((error: unknown) => {
          throw recoveryFailed(store, error);
        });
        return;
      }
      await look().catch(tell);
      if (!stopped) lookLater(interval);
    },
    stop() {
      stopped = true;
      clearTimeout(timer);
    },
  };
}

function recoveryFailed(store: RunStore, error: unknown): CodedError {
  const problem = errorText(error instanceof Error && error.cause !== undefined ? error.cause : error);
  const text = `DIFY_AGENT_STORE_URL: ${store.description} cannot be written: ${problem}`;
  return new CodedError('recovery_failed', text, { cause: error });
}
