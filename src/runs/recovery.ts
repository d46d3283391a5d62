// Runs that a dead process left behind: ended before this process accepts requests, so that none is `running` for ever
// (spec README "Settled": reason `worker_lost`).

import type { Clock } from '../base/clock.ts';
import { CodedError, errorText } from '../base/errors.ts';
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

/**
 * Ends each of these runs that is still running. Returns how many it ended.
 * @throws CodedError `recovery_failed`, one line for the operator: a store that cannot be written cannot serve either.
 */
export async function endOrphans(
  deps: { readonly store: RunStore; readonly wire: Wire; readonly clock: Clock; readonly logger: Logger },
  runIds: readonly string[],
): Promise<number> {
  const { store, logger } = deps;
  try {
    const outcomes = await Promise.all(runIds.map((runId) => finaliseRun(deps, runId, workerLostEvent)));
    const ended = outcomes.filter(({ applied }) => applied).length;
    if (ended > 0) logger.warn('ended runs of a process that died', { runs: ended });
    return ended;
  } catch (error) {
    const problem = errorText(error instanceof Error && error.cause !== undefined ? error.cause : error);
    const text = `DIFY_AGENT_STORE_URL: ${store.description} cannot be written: ${problem}`;
    throw new CodedError('recovery_failed', text, { cause: error });
  }
}
