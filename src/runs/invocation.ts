// One execution of a composition: spec 02 §12.1 as a story, between `run_started` and the terminal event. Everything that
// can be decided without side effects is decided before any layer is entered, in the reference's order of texts (02 §14.2).
// What became of it, and how that is told, is runner.ts's.

import { runAgent } from '../agent/loop.ts';
import type { AgentProbe } from '../agent/probed.ts';
import { createToolset } from '../agent/toolset.ts';
import { createUsageMeter } from '../agent/usage.ts';
import { type Clock, rfc3339 } from '../base/clock.ts';
import { errorText } from '../base/errors.ts';
import { newMessageRunId } from '../base/ids.ts';
import { CompositionError } from '../compositor/errors.ts';
import { planRun } from '../compositor/plan.ts';
import type { LayerRegistry } from '../compositor/registry.ts';
import { type CompositorRun, prepareRun, withinRun } from '../compositor/run.ts';
import type { CoalescingSettings } from '../config/settings.ts';
import { deferredResult, humanInput } from '../layers/human-input.ts';
import { checkUserPrompts, composePrompts, userTurnContent } from '../layers/prompts.ts';
import { checkShapes, historySlot, isLifecycleOnly, llmModel, outputContract, toolsOf } from '../layers/slots.ts';
import type { AgentLayer, AgentLayerType } from '../layers/types.ts';
import type { Logger } from '../observe/logger.ts';
import type { RunResult, RunUsage, TerminalEvent } from '../protocol/events.ts';
import type { SessionSnapshot } from '../protocol/runs.ts';
import type { Wire } from '../protocol/wire.ts';
import { coalescing, type Emit } from './coalescer.ts';
import { STOP_GRACE_MS, withinDeadline } from './deadline.ts';
import type { Submission } from './submission.ts';

/** What executing compositions needs of the process. */
export interface InvocationDeps {
  readonly clock: Clock;
  /** Whether a failed run publishes its snapshot: then its layers are left as the exit policy says. */
  readonly wire: Pick<Wire, 'newerKeys'>;
  /** In the order in which their shape rules are checked. */
  readonly layerTypes: readonly AgentLayerType[];
  readonly registry: LayerRegistry<AgentLayer>;
  /** For the agent loop, > 0. Default null: no limit. */
  readonly runTimeoutSeconds?: number | null;
  /** Default: every text delta is an event. */
  readonly textDeltaCoalescing?: CoalescingSettings;
  /** Milliseconds for each exit hook and scope of a layer. Default: the compositor's. */
  readonly exitTimeoutMs?: number;
  /** Milliseconds that an aborted agent may take to stop. Default STOP_GRACE_MS. */
  readonly stopGraceMs?: number;
}

/** The run at hand. */
export interface InvocationContext {
  readonly submission: Submission;
  readonly emit: Emit;
  readonly signal: AbortSignal;
  /** Masks what the run must not tell. */
  readonly logger: Logger;
  readonly probe: AgentProbe;
}

/** What a run leaves behind when it did not succeed. */
export interface Remains {
  /** Of this invocation, after its layers have exited; null when they were never (all) entered. */
  readonly snapshot: SessionSnapshot | null;
  /** Null when no model has reported any. */
  readonly usage: RunUsage | null;
}

/** One execution. */
export interface Invocation {
  /** Runs the composition; its layers have exited when this settles. Throws whatever makes the run fail. Only once. */
  run(): Promise<Extract<TerminalEvent, { type: 'run_succeeded' }>>;
  /** To be called after `run` has settled. Never throws. */
  remains(): Remains;
}

const NO_COALESCING: CoalescingSettings = { enabled: false, flushIntervalMs: 1, maxChars: 1 };

export function createInvocation(deps: InvocationDeps, context: InvocationContext): Invocation {
  const { submission, signal, logger } = context;
  const { request } = submission;
  const usage = createUsageMeter();
  let run: CompositorRun<AgentLayer> | null = null;

  /** Resolves the slots in the order of spec 02 §12.1 steps 6–8; what it returns runs the agent. */
  async function agentBody({ layers }: CompositorRun<AgentLayer>): Promise<() => Promise<RunResult>> {
    const prompts = composePrompts(layers.values());
    const deferredResults = request.deferred_tool_results;
    if (deferredResults === null) checkUserPrompts(prompts.user);
    const output = await outputContract(layers);
    const history = historySlot(layers);
    const human = humanInput(layers);
    const model = llmModel(layers);
    const toolset = createToolset(toolsOf(layers), output);
    if (deferredResults !== null && history === null) {
      throw new CompositionError("Deferred tool results require a 'history' layer with prior message history.");
    }
    const agent = (emit: Emit, agentSignal: AbortSignal) =>
      runAgent({
        model,
        toolset,
        systemPrompts: prompts.system,
        history: history?.read() ?? [],
        userPrompt: userTurnContent(prompts.user),
        deferredResults,
        messageRunId: newMessageRunId(),
        now: () => rfc3339(deps.clock.nowMicros()),
        emit,
        usage,
        probe: context.probe,
        signal: agentSignal,
      });
    const deadline = {
      seconds: deps.runTimeoutSeconds ?? null,
      signal,
      stopGraceMs: deps.stopGraceMs ?? STOP_GRACE_MS,
    };
    return async () => {
      const { result, newMessages } = await coalescing(
        context.emit,
        deps.textDeltaCoalescing ?? NO_COALESCING,
        (emit) => withinDeadline(deadline, (limited) => agent(emit, limited)),
      );
      history?.append(newMessages);
      return 'output' in result ? result : deferredResult(result.deferred, human, history);
    };
  }

  return {
    async run() {
      checkShapes(deps.layerTypes, request.composition.layers);
      const plan = planRun(request.composition, request.on_exit, deps.registry);
      const lifecycleOnly = isLifecycleOnly(request);
      const prepared = prepareRun(plan, request.session_snapshot, {
        onSuppressedError: (layer, error) => logger.error('layer exit failed', { layer, error: errorText(error) }),
        rebase: submission.snapshotPolicy === 'rebase' ? deps.registry : null,
        ...(deps.exitTimeoutMs === undefined ? {} : { exitTimeoutMs: deps.exitTimeoutMs }),
      });
      run = prepared;
      const body = lifecycleOnly ? exitOnly : await agentBody(prepared);
      const result = await withinRun(prepared, signal, body, { discardCreated: !deps.wire.newerKeys });
      const used = lifecycleOnly ? null : usage.total;
      return { type: 'run_succeeded', snapshot: prepared.snapshot(), result, usage: used };
    },
    remains: () => ({ snapshot: run?.entered === true ? snapshotOf(run, logger) : null, usage: known(usage.total) }),
  };
}

/** A lifecycle-only run enters and exits its layers; its output is an explicit null (spec 02 §12.3). */
async function exitOnly(): Promise<RunResult> {
  return { output: null };
}

/** Null when a layer cannot say what its state is: that is not why the run failed, or it is and is told. */
function snapshotOf(run: CompositorRun<AgentLayer>, logger: Logger): SessionSnapshot | null {
  try {
    return run.snapshot();
  } catch (error) {
    logger.error('the run left no snapshot', { error });
    return null;
  }
}

function known(usage: RunUsage): RunUsage | null {
  return usage.promptTokens + usage.completionTokens === 0 ? null : usage;
}
