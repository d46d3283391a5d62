// Runs that a dead process left behind: ended before this process accepts requests, so that none is `running` for ever
// (spec README "Settled": reason `worker_lost`).

import type { Clock } from '../base/clock.ts';
import type { Logger } from '../observe/logger.ts';
import type { TerminalEvent } from '../protocol/events.ts';
import type { Wire } from '../protocol/wire.ts';
import type { RunStore } from './ports.ts';
import { finaliseRun } from './sink.ts';

/** The terminal event of a run whose process died. */
export const workerLostEvent: TerminalEvent = {
  type: 'run_failed',
  error: 'the server process that executed this run has ended',
  reason: 'worker_lost',
  errorType: null,
  snapshot: null,
  usage: null,
};

/** Ends each of these runs that is still running. Returns how many it ended. */
export async function endOrphans(
  deps: { readonly store: RunStore; readonly wire: Wire; readonly clock: Clock; readonly logger: Logger },
  runIds: readonly string[],
): Promise<number> {
  const outcomes = await Promise.all(runIds.map((runId) => finaliseRun(deps, runId, workerLostEvent)));
  const ended = outcomes.filter(({ applied }) => applied).length;
  if (ended > 0) deps.logger.warn('ended runs of a process that died', { runs: ended });
  return ended;
}
