// One run from its first event to its terminal one: spec 02 §12.1 as a story. Everything that can be decided without side
// effects is decided before any layer is entered, in the reference's order of texts (02 §14.2).

import { runAgent } from '../agent/loop.ts';
import { createToolset } from '../agent/toolset.ts';
import { type Clock, rfc3339 } from '../base/clock.ts';
import { CodedError, errorText } from '../base/errors.ts';
import { newMessageRunId } from '../base/ids.ts';
import { CompositionError } from '../compositor/errors.ts';
import { planRun } from '../compositor/plan.ts';
import type { LayerRegistry } from '../compositor/registry.ts';
import { type CompositorRun, prepareRun, withinRun } from '../compositor/run.ts';
import { deferredResult, humanInput } from '../layers/human-input.ts';
import { checkUserPrompts, composePrompts, userTurnContent } from '../layers/prompts.ts';
import { checkShapes, historySlot, isLifecycleOnly, llmModel, outputContract, toolsOf } from '../layers/slots.ts';
import type { AgentLayer, AgentLayerType } from '../layers/types.ts';
import { PluginDaemonError } from '../models/plugin-daemon-error.ts';
import type { Logger } from '../observe/logger.ts';
import type { RunResult, RunUsage, TerminalEvent } from '../protocol/events.ts';
import type { CreateRunRequest } from '../protocol/runs.ts';
import type { FailureTexts, Wire } from '../protocol/wire.ts';
import { StoreUnavailableError } from './errors.ts';
import type { RunStore } from './ports.ts';
import { type RunFunction, ShutdownError, shutdownEvent } from './scheduler.ts';
import { createEventSink, type EventSink, finishPersistently, RunOverError } from './sink.ts';

export interface RunnerDeps {
  readonly store: RunStore;
  readonly wire: Wire;
  readonly clock: Clock;
  readonly logger: Logger;
  /** In the order in which their shape rules are checked. */
  readonly layerTypes: readonly AgentLayerType[];
  readonly registry: LayerRegistry<AgentLayer>;
}

/** The terminal event of a run whose events could not be stored for too long. It shows once the store is back. */
const storeLostEvent: TerminalEvent = {
  type: 'run_failed',
  error: 'the store was unavailable for too long to record this run',
  reason: 'store_unavailable',
  errorType: null,
  snapshot: null,
  usage: null,
};

/** Builds the function that executes runs. It ends every run itself and throws only when the store does not let it. */
export function createRunner(deps: RunnerDeps): RunFunction {
  return async (runId, request, signal) => {
    const logger = deps.logger.child({ run_id: runId });
    const sink = createEventSink({ ...deps, runId });
    const found = await execute(deps, request, sink, signal, logger);
    if (found === null) return;
    const { ending, outcome } = await end(sink, found, signal, logger);
    if (outcome.applied) logger.info('run ended', { type: ending.type, ...summary(ending) });
    else logger.warn('run was already over', { status: outcome.status });
  };
}

/** Writes the terminal event. One that cannot be written (nested beyond what prints) becomes a failure that says so. */
async function end(sink: EventSink, ending: TerminalEvent, signal: AbortSignal, logger: Logger) {
  const options = {
    signal,
    onAway: (error: StoreUnavailableError) => logger.warn('the end of the run cannot be stored yet', { error }),
  };
  try {
    return { ending, outcome: await finishPersistently(sink, ending, options) };
  } catch (error) {
    if (error instanceof StoreUnavailableError) throw error;
    logger.error('the end of the run cannot be written', unexpected(error));
    const failed = failure({ error: errorText(error), reason: null });
    return { ending: failed, outcome: await finishPersistently(sink, failed, options) };
  }
}

/** Runs to the terminal event, or to null when somebody else has already ended the run. */
async function execute(
  deps: RunnerDeps,
  request: CreateRunRequest,
  sink: EventSink,
  signal: AbortSignal,
  logger: Logger,
): Promise<TerminalEvent | null> {
  try {
    signal.throwIfAborted();
    await sink.started();
    const ending = await succeed(deps, request, sink, signal, logger);
    await sink.settled();
    return ending;
  } catch (error) {
    if (error instanceof RunOverError) {
      logger.warn('run was ended elsewhere');
      return null;
    }
    if (signal.reason instanceof ShutdownError) return shutdownEvent;
    if (error instanceof StoreUnavailableError) {
      logger.warn('events of the run could not be stored', { error });
      return storeLostEvent;
    }
    if (!(error instanceof CodedError)) logger.error('the run met an unexpected error', unexpected(error));
    const structured = error instanceof PluginDaemonError ? error.structured() : null;
    return failure(deps.wire.failure(errorText(error), structured));
  }
}

function failure(texts: FailureTexts): TerminalEvent {
  return { type: 'run_failed', ...texts, errorType: null, snapshot: null, usage: null };
}

/** For the log: a bug of ours, or of a layer. */
function unexpected(error: unknown): { readonly error: unknown; readonly stack?: string | undefined } {
  return error instanceof Error ? { error, stack: error.stack } : { error };
}

/** Runs the composition. Throws whatever makes the run fail. */
async function succeed(
  deps: RunnerDeps,
  request: CreateRunRequest,
  sink: EventSink,
  signal: AbortSignal,
  logger: Logger,
): Promise<TerminalEvent> {
  checkShapes(deps.layerTypes, request.composition.layers);
  const plan = planRun(request.composition, request.on_exit, deps.registry);
  const lifecycleOnly = isLifecycleOnly(request);
  const run = prepareRun(plan, request.session_snapshot, {
    onSuppressedError: (layer, error) => logger.error('layer exit failed', { layer, error: errorText(error) }),
  });
  const body = lifecycleOnly ? exitOnly : await agentBody(deps, request, run, sink, signal);
  const { result, usage } = await withinRun(run, signal, body);
  return { type: 'run_succeeded', snapshot: run.snapshot(), result, usage };
}

interface BodyResult {
  readonly result: RunResult;
  readonly usage: RunUsage | null;
}

/** A lifecycle-only run enters and exits its layers; its output is an explicit null (spec 02 §12.3). */
async function exitOnly(): Promise<BodyResult> {
  return { result: { output: null }, usage: null };
}

/** Resolves the slots in the order of spec 02 §12.1 steps 6–8; what it returns runs the agent. */
async function agentBody(
  deps: RunnerDeps,
  request: CreateRunRequest,
  run: CompositorRun<AgentLayer>,
  sink: EventSink,
  signal: AbortSignal,
): Promise<() => Promise<BodyResult>> {
  const prompts = composePrompts(run.layers.values());
  const deferredResults = request.deferred_tool_results;
  if (deferredResults === null) checkUserPrompts(prompts.user);
  const output = await outputContract(run.layers);
  const history = historySlot(run.layers);
  const human = humanInput(run.layers);
  const model = llmModel(run.layers);
  const toolset = createToolset(toolsOf(run.layers), output);
  if (deferredResults !== null && history === null) {
    throw new CompositionError("Deferred tool results require a 'history' layer with prior message history.");
  }
  return async () => {
    const { result, newMessages, usage } = await runAgent({
      model,
      toolset,
      systemPrompts: prompts.system,
      history: history?.read() ?? [],
      userPrompt: userTurnContent(prompts.user),
      deferredResults,
      messageRunId: newMessageRunId(),
      now: () => rfc3339(deps.clock.nowMicros()),
      emit: sink.emit,
      signal,
    });
    history?.append(newMessages);
    return { result: 'output' in result ? result : deferredResult(result.deferred, human, history), usage };
  };
}

function summary(ending: TerminalEvent): { readonly error?: string } {
  return ending.type === 'run_failed' ? { error: ending.error } : {};
}
