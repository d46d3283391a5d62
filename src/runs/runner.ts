// One run from its first event to its terminal one: starts it, has it executed (invocation.ts), and says how it ended.
// Whatever is thrown, a run has one terminal event; what made it fail is told without secrets.

import { AgentError } from '../agent/errors.ts';
import { CodedError, errorText } from '../base/errors.ts';
import { PluginDaemonError } from '../models/plugin-daemon-error.ts';
import type { Logger } from '../observe/logger.ts';
import type { Probe } from '../observe/probe.ts';
import type { TerminalEvent } from '../protocol/events.ts';
import type { Wire } from '../protocol/wire.ts';
import {
  abortCause,
  CancelledError,
  cancelledEvent,
  EndedElsewhereError,
  ShutdownError,
  shutdownEvent,
} from './aborts.ts';
import { RunTimeoutError } from './deadline.ts';
import type { Ending } from './endings.ts';
import { StoreUnavailableError } from './errors.ts';
import { createInvocation, type Invocation, type InvocationDeps, type Remains } from './invocation.ts';
import type { RunStore } from './ports.ts';
import { reasonOf } from './reasons.ts';
import { createRunSecrets, maskingLogger, type RunSecrets } from './run-secrets.ts';
import type { RunFunction } from './scheduler.ts';
import { createEventSink, type EventSink, finishPersistently, RunOverError } from './sink.ts';

export interface RunnerDeps extends InvocationDeps {
  readonly store: RunStore;
  readonly wire: Wire;
  readonly logger: Logger;
  /** Told of every append. Default: nobody. */
  readonly probe?: Pick<Probe, 'store'>;
  /** Secrets of the process (config/secrets.ts): masked in error texts like the run's own. Default none. */
  readonly configuredSecrets?: readonly string[];
}

/** The terminal event of a run whose events could not be stored for too long. It shows once the store is back. */
const storeLostEvent = {
  type: 'run_failed',
  error: 'the store was unavailable for too long to record this run',
  reason: 'store_unavailable',
  errorType: null,
} as const;

/** What the run at hand is told with. */
interface Telling {
  readonly wire: Wire;
  readonly secrets: RunSecrets;
  readonly logger: Logger;
  readonly signal: AbortSignal;
}

/** Builds the function that executes runs. It ends every run itself and throws only when the store does not let it. */
export function createRunner(deps: RunnerDeps): RunFunction {
  const { wire, configuredSecrets = [] } = deps;
  return async (runId, submission, signal, reporter) => {
    const secrets = createRunSecrets(submission.request.composition, configuredSecrets);
    const logger = maskingLogger(deps.logger.child({ run_id: runId }), secrets);
    const stored = (events: number, chars: number, ms: number) => reporter.stored(events, chars, ms);
    const sink = createEventSink({ ...deps, runId, stored });
    const invocation = createInvocation(deps, { submission, emit: sink.emit, signal, logger, probe: reporter });
    const telling: Telling = { wire, secrets, logger, signal };
    const ending = await execute(invocation, sink, telling);
    if (ending === null) return reporter.ended(null, null);
    const { outcome, reason } = await end(sink, ending, telling);
    // What an ending says is masked already; looking for secrets once more would be a tenth of what a short run costs.
    reporter.ended(outcome.applied ? outcome.ending : null, reason);
    if (!outcome.applied) logger.warn('run was already over', { status: outcome.status });
  };
}

/** Runs to the terminal event, or to null when somebody else has already ended the run. */
async function execute(invocation: Invocation, sink: EventSink, telling: Telling): Promise<Ending | null> {
  const { signal, logger } = telling;
  try {
    signal.throwIfAborted();
    await sink.started();
    const succeeded = await invocation.run();
    await sink.settled();
    const cause = abortCause(signal);
    // A stop that comes when the answer is there lets it stand. An accepted cancel has priority.
    if (cause === null || cause instanceof ShutdownError) return { event: succeeded, reason: null };
    throw cause;
  } catch (error) {
    const cause = abortCause(signal);
    if (cause instanceof EndedElsewhereError || error instanceof RunOverError) {
      logger.warn('run was ended elsewhere');
      return null;
    }
    const remains = invocation.remains();
    if (cause instanceof CancelledError)
      return { event: { ...cancelledEvent(cause.intent), ...remains }, reason: null };
    if (cause !== null) return { event: leaving(remains, shutdownEvent), reason: 'shutdown' };
    if (error instanceof StoreUnavailableError) {
      logger.warn('events of the run could not be stored', { error });
      return { event: { ...storeLostEvent, ...remains }, reason: 'store_unavailable' };
    }
    if (!(error instanceof CodedError)) logger.error('the run met an unexpected error', unexpected(error));
    return { event: failed(error, remains, telling), reason: reasonOf(error) };
  }
}

/** The end of a run that did not succeed, with what it leaves behind. */
function leaving(remains: Remains, ending: TerminalEvent): TerminalEvent {
  return ending.type === 'run_succeeded' ? ending : { ...ending, ...remains };
}

/** `run_failed` in the words of the wire's vintage, without secrets. */
function failed(error: unknown, remains: Remains, { wire, secrets }: Pick<Telling, 'wire' | 'secrets'>): TerminalEvent {
  const structured = error instanceof PluginDaemonError ? error.structured() : null;
  const texts = wire.failure(errorText(error), structured);
  return {
    type: 'run_failed',
    error: secrets.mask(texts.error),
    reason: texts.reason === null ? null : secrets.mask(texts.reason),
    errorType: isLimit(error) ? 'agent_run_limit_exceeded' : null,
    ...remains,
  };
}

/** A limit of the run itself (spec 01 §7.5): time-outs of peers are none. */
function isLimit(error: unknown): boolean {
  return error instanceof RunTimeoutError || (error instanceof AgentError && error.code === 'request_limit');
}

/** Writes the terminal event; one that cannot be printed (a state nested too deep) goes without what does not print. */
async function end(sink: EventSink, { event, reason }: Ending, telling: Telling) {
  const { signal, logger } = telling;
  const options = {
    signal,
    onAway: (error: StoreUnavailableError) => logger.warn('the end of the run cannot be stored yet', { error }),
  };
  try {
    return { outcome: await finishPersistently(sink, event, options), reason };
  } catch (error) {
    if (error instanceof StoreUnavailableError) throw error;
    logger.error('the end of the run cannot be written', unexpected(error));
    const remains = { snapshot: null, usage: event.usage };
    const spoilt = event.type === 'run_succeeded';
    const bare = spoilt ? failed(error, remains, telling) : leaving(remains, event);
    return { outcome: await finishPersistently(sink, bare, options), reason: spoilt ? reasonOf(error) : reason };
  }
}

/** For the log: a bug of ours, or of a layer. */
function unexpected(error: unknown): { readonly error: unknown; readonly stack?: string | undefined } {
  return error instanceof Error ? { error, stack: error.stack } : { error };
}
