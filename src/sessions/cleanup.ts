// The run that cleans up what a session left behind (spec 07 §2.8): its stored layers with their entries of the snapshot, no
// model, `on_exit` delete. Built here, posted by outbox.ts.

import type { CreateRunRequest, JsonObject, LayerSpec, SessionSnapshot } from '../client/types.ts';
import { newId } from './ids.ts';
import { byName } from './topology.ts';
import type { CleanupEntry, CleanupReason, Scope, SessionState } from './types.ts';

type Entry = SessionSnapshot['layers'][number];

/** What is to be cleaned up, and why. */
export interface Remains {
  readonly scope: Scope;
  readonly reason: CleanupReason;
  readonly session: Pick<SessionState, 'snapshot' | 'specs' | 'lastRunId'>;
  /** Only these layers; default: all. */
  readonly only?: readonly string[];
}

/**
 * The entry for the outbox, or null when no stored layer has anything to give up. Layers whose specs are not stored (the model,
 * plugin tools) are in neither list: they hold nothing.
 */
export function cleanupEntry({ scope, reason, session, only }: Remains): CleanupEntry | null {
  const { snapshot, specs, lastRunId = null } = session;
  const entries = new Map(snapshot.layers.map((entry) => [entry.name, entry]));
  const known = byName(specs);
  const holds = ({ name, lifecycle_state: state }: Entry) =>
    state === 'suspended' && known.has(name) && (only === undefined || only.includes(name));
  const targets = new Set(snapshot.layers.filter(holds).map(({ name }) => name));
  if (targets.size === 0) return null;
  const entered = withDependencies(targets, known, entries);
  const layers = specs.filter(({ name }) => entered.has(name));
  return {
    id: newId(),
    scope,
    reason,
    specs: layers.map((spec) => ({ ...spec, deps: depsWithin(spec, entered) })),
    snapshot: { ...snapshot, layers: layers.map(({ name }) => enterable(name, entries.get(name))) },
    keep: [...entered].filter((name) => !targets.has(name) && entries.get(name)?.lifecycle_state === 'suspended'),
    previousRunId: lastRunId,
  };
}

/** `failedRuns`: a run that ended without success is not asked for again under its key. */
export function cleanupRequest(entry: CleanupEntry, failedRuns: number): CreateRunRequest {
  const { id, scope, specs, snapshot, keep, previousRunId } = entry;
  const owner: JsonObject = scope.ownerKind === 'workflow_run' ? { workflow_run_id: scope.ownerId } : {};
  return {
    composition: { schema_version: 1, layers: specs },
    purpose: 'workflow_node',
    idempotency_key: `${id}:agent-session-cleanup${failedRuns === 0 ? '' : `:retry-${failedRuns}`}`,
    metadata: {
      ...owner,
      previous_agent_backend_run_id: previousRunId,
      agent_backend_lifecycle: 'session_cleanup',
    },
    session_snapshot: snapshot,
    deferred_tool_results: null,
    on_exit: { default: 'delete', layers: Object.fromEntries(keep.map((name) => [name, 'suspend'])) },
  };
}

/** What a server says of layers that were deleted before (spec 02 §3 step 4): there is nothing left to clean up. */
const NOTHING_LEFT = /CLOSED snapshots cannot be entered/;

/** Whether a clean-up run failed because there is nothing to clean up. */
export function saysNothingIsLeft(error: string | null): boolean {
  return error !== null && NOTHING_LEFT.test(error);
}

function withDependencies(
  targets: ReadonlySet<string>,
  known: ReadonlyMap<string, LayerSpec>,
  entries: ReadonlyMap<string, Entry>,
): ReadonlySet<string> {
  const entered = new Set(targets);
  // A set that grows while it is walked is walked to its end.
  for (const name of entered) {
    for (const target of Object.values(known.get(name)?.deps ?? {})) {
      if (known.has(target) && entries.has(target)) entered.add(target);
    }
  }
  return entered;
}

/** Without what is not there: the server refuses a composition that names a layer which it does not have. */
function depsWithin({ deps = {} }: LayerSpec, entered: ReadonlySet<string>): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(deps).filter(([, target]) => entered.has(target)));
}

/** A layer that is closed cannot be entered, only started; it is deleted again with the others. */
function enterable(name: string, entry: Entry | undefined): Entry {
  return entry?.lifecycle_state === 'suspended' ? entry : { name, lifecycle_state: 'new', runtime_state: {} };
}
