// From a composition and a snapshot to the workspace that they describe (spec 04 §3.2). Nothing is entered: a look does not
// wait for the run that works there, and leaves no trace in the session.

import { CompositionError } from '../compositor/errors.ts';
import { planRun } from '../compositor/plan.ts';
import type { LayerRegistry } from '../compositor/registry.ts';
import { prepareRun } from '../compositor/run.ts';
import { validConfig } from '../compositor/validated.ts';
import type { ExecutionContext } from '../protocol/execution-context.ts';
import type { RunComposition, SessionSnapshot } from '../protocol/runs.ts';
import { validate } from '../validation/walker.ts';
import type { SessionId } from '../workspaces/session.ts';
import { ExecutionContextLayer } from './execution-context.ts';
import { shellConfig } from './shell/config.ts';
import { resumable, shellState } from './shell/state.ts';
import type { AgentLayer } from './types.ts';

/** Where to look, and in whose name. */
export interface LocatedSandbox {
  readonly sessionId: SessionId;
  /** Null: the composition has none, and nothing can be asked of Dify. */
  readonly context: ExecutionContext | null;
  readonly driveRef: string | null;
}

/** The reserved name of the layer that is looked at. */
const SHELL = 'shell';

/** @throws CompositionError, with the texts of a run that is resumed from this snapshot. */
export function locateSandbox(
  {
    composition,
    session_snapshot: snapshot,
  }: { readonly composition: RunComposition; readonly session_snapshot: SessionSnapshot },
  registry: LayerRegistry<AgentLayer>,
): LocatedSandbox {
  const plan = planRun(composition, { default: 'suspend', layers: {} }, registry);
  const run = prepareRun(plan, snapshot);
  const layer = run.get(SHELL);
  const planned = plan.layers.find(({ name }) => name === SHELL);
  const stored = snapshot.layers.find(({ name }) => name === SHELL);
  const config = validate(shellConfig, planned && validConfig(planned.type, planned.config));
  const state = validate(shellState, stored?.runtime_state ?? {});
  // prepareRun has validated both, if the layer is of that type.
  if (layer.className !== 'DifyShellLayer' || !config.ok || !state.ok) {
    throw new CompositionError(`Layer '${SHELL}' is not a 'dify.shell' layer.`);
  }
  const sessionId = resumable(state.value);
  if (typeof sessionId !== 'string') throw new CompositionError(sessionId.fault);
  const context = run.layers.get(planned?.deps.execution_context ?? '');
  return {
    sessionId,
    context: context instanceof ExecutionContextLayer ? context.context : null,
    driveRef: config.value.agent_stub_drive_ref,
  };
}
