// The runs that this process created and that are not over: who is told that one shall be cancelled or was ended by somebody
// else, each once, and the looks that find what nobody announced.

import { errorText } from '../base/errors.ts';
import type { Logger } from '../observe/logger.ts';
import type { CancelIntent, OwnRunsWatcher } from '../runs/ports.ts';
import type { RedisLink } from './redis-link.ts';
import { parseIntent } from './redis-record.ts';
import { runScript, type Scripts } from './redis-scripts.ts';

/** Runs that are looked at by one command: a millisecond of Redis. */
export const CHECK_BATCH = 500;

export interface OwnRunsOptions {
  readonly link: RedisLink;
  readonly scripts: Scripts;
  /** The key of this process's set of runs. */
  readonly index: string;
  /** What the names of all runs' keys begin with. */
  readonly runsBase: string;
  readonly indexTtlMs: number;
  /** This process is about to end the run: whoever ended it will be told by that. */
  readonly isEnding: (runId: string) => boolean;
  /** Somebody else ended the run; called before the watcher. */
  readonly onElsewhere: (runId: string) => void;
  readonly logger: Logger;
}

export interface OwnRuns {
  /** Somebody wants to be told. */
  readonly watched: boolean;
  watch(watcher: OwnRunsWatcher): void;
  /** `keys`: what else must not expire while the run goes on. `known`: somebody may know of the run already. */
  begin(runId: string, keys: readonly string[], known: boolean): void;
  /** The run is over; `here`: by an end that this process wrote. */
  over(runId: string, here: boolean): void;
  cancelled(runId: string, intent: CancelIntent): void;
  /** Looks at one of them, if it is one. */
  look(runId: string): void;
  /** The keys that were given to `begin`. */
  keptKeys(): readonly string[];
  /** Looks at all of them. Never rejects: the next renewal of the lease looks again. */
  check(): Promise<void>;
}

interface OwnRun {
  readonly keys: readonly string[];
  /** The watcher knows of the cancel. */
  told: boolean;
}

export function createOwnRuns(options: OwnRunsOptions): OwnRuns {
  const { link, scripts, index, logger } = options;
  const runs = new Map<string, OwnRun>();
  let watcher: OwnRunsWatcher | null = null;
  const send = (command: readonly string[]) => link.send(command);

  function cancelled(runId: string, intent: CancelIntent): void {
    const run = runs.get(runId);
    if (run === undefined || run.told) return;
    run.told = true;
    tell(runId, (listener) => listener.cancelRequested(runId, intent));
  }

  function over(runId: string, here: boolean): void {
    if (!runs.delete(runId) || here) return;
    options.onElsewhere(runId);
    tell(runId, (listener) => listener.endedElsewhere(runId));
  }

  /** What goes wrong in there is not the store's trouble. */
  function tell(runId: string, call: (listener: OwnRunsWatcher) => void): void {
    try {
      if (watcher !== null) call(watcher);
    } catch (error) {
      logger.error('the owner of a run could not be told', { run_id: runId, error });
    }
  }

  async function checkSome(runIds: readonly string[]): Promise<void> {
    const args = [options.runsBase, String(options.indexTtlMs), ...runIds];
    const reply = await runScript(send, scripts.check, [index], args);
    if (!Array.isArray(reply)) return;
    for (const [i, runId] of runIds.entries()) {
      const [status, intent]: unknown[] = [reply[2 * i], reply[2 * i + 1]];
      if (typeof intent === 'string') cancelled(runId, parseIntent(intent));
      // A run that is being ended here may have been ended by that, with the answer still on its way.
      else if (typeof status === 'string' && status !== 'running' && !options.isEnding(runId)) over(runId, false);
    }
  }

  async function check(runIds: readonly string[]): Promise<void> {
    const batches: Promise<void>[] = [];
    for (let i = 0; i < runIds.length; i += CHECK_BATCH) batches.push(checkSome(runIds.slice(i, i + CHECK_BATCH)));
    for (const result of await Promise.allSettled(batches)) {
      if (result.status === 'rejected') {
        logger.debug('runs of this process could not be looked at', { reason: errorText(result.reason) });
      }
    }
  }

  return {
    get watched() {
      return watcher !== null;
    },
    watch(given) {
      watcher = given;
    },
    begin(runId, keys, known) {
      runs.set(runId, { keys, told: false });
      // Whoever used the same idempotency key knew of the run as early as we did, and may have cancelled it unheard.
      if (known) void check([runId]);
    },
    over,
    cancelled,
    look(runId) {
      if (runs.has(runId)) void check([runId]);
    },
    keptKeys: () => [...runs.values()].flatMap(({ keys }) => keys),
    check: () => check([...runs.keys()]),
  };
}
