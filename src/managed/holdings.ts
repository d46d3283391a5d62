// What the layers of a snapshot hold outside this process: workspaces of shells. Layer types say of a state whether it names something
// to delete (compositor/layer.ts); here that becomes the run that deletes it, and the check that it is gone.

import { isJsonObject } from '../base/json.ts';
import type { LayerRegistry } from '../compositor/registry.ts';
import type { AgentLayer } from '../layers/types.ts';
import type { CreateRunRequest, LayerSessionSnapshot, SessionSnapshot } from '../protocol/runs.ts';
import { stringifyJson } from '../wiretext/json.ts';
import { WorkspaceFileError, type WorkspaceFiles } from '../workspaces/files.ts';
import { isSessionId } from '../workspaces/session.ts';

/** Something outside that a layer's state names. */
export interface Holding {
  readonly typeId: string;
  readonly layer: LayerSessionSnapshot;
  /** Equal for states that name the same thing. */
  readonly identity: string;
}

export interface Holdings {
  /** What a snapshot holds: closed layers hold nothing. Null: nothing. */
  of(snapshot: SessionSnapshot | null): readonly Holding[];
  /** Whether it is known that all are gone. False also while nobody can tell. Never rejects. */
  areGone(holdings: readonly Holding[]): Promise<boolean>;
}

/** How long a look at one workspace may take, ms. */
const LOOK_MS = 30_000;

/** @param files null: no sandbox is configured */
export function createHoldings(registry: LayerRegistry<AgentLayer>, files: WorkspaceFiles | null): Holdings {
  /** As a rebase finds it: the first type that recognises a state. */
  function typeOf({ runtime_state: state }: LayerSessionSnapshot): string | null {
    return registry.typeIds.find((id) => registry.get(id)?.recogniseState?.(state) === true) ?? null;
  }

  async function isGone({ layer }: Holding): Promise<boolean> {
    const id = sessionIdOf(layer);
    if (id === null || files === null || !isSessionId(id)) return false;
    const look = { signal: AbortSignal.timeout(LOOK_MS), owner: Symbol('clean-up'), timeoutMs: LOOK_MS };
    try {
      await files.list(id, '.', look);
      return false;
    } catch (error) {
      // Anything else is not known: shellctl may be away.
      return error instanceof WorkspaceFileError && error.fault === 'workspace_not_found';
    }
  }

  return {
    of(snapshot) {
      return (snapshot?.layers ?? []).flatMap((layer) => {
        const typeId = layer.lifecycle_state === 'suspended' ? typeOf(layer) : null;
        return typeId === null ? [] : [{ typeId, layer, identity: identityOf(layer) }];
      });
    },
    async areGone(holdings) {
      const answers = await Promise.all(holdings.map(isGone));
      return answers.every((gone) => gone);
    },
  };
}

/** A shell is its workspace, whatever jobs it remembers. */
function identityOf(layer: LayerSessionSnapshot): string {
  return sessionIdOf(layer) ?? stringifyJson(layer.runtime_state);
}

function sessionIdOf({ runtime_state: state }: LayerSessionSnapshot): string | null {
  return isJsonObject(state) && typeof state.session_id === 'string' ? state.session_id : null;
}

/** Those of `all` that none of `others` names. */
export function without(all: readonly Holding[], others: readonly Holding[]): readonly Holding[] {
  const named = new Set(others.map(({ identity }) => identity));
  return all.filter(({ identity }) => !named.has(identity));
}

/** A snapshot of these alone. */
export function snapshotOf(holdings: readonly Holding[]): SessionSnapshot {
  return { schema_version: 1, layers: holdings.map(({ layer }, i) => ({ ...layer, name: cleanupName(i) })) };
}

/**
 * The run that deletes them (spec 07 §4.2): no model, each layer by itself with its type's default config, for deleting needs no more,
 * and so no config of a caller is ever kept.
 */
export function cleanupRequest(holdings: readonly Holding[], previousRunId: string | null): CreateRunRequest {
  return {
    composition: {
      schema_version: 1,
      layers: holdings.map(({ typeId }, i) => ({
        name: cleanupName(i),
        type: typeId,
        deps: {},
        metadata: {},
        config: null,
      })),
    },
    purpose: 'workflow_node',
    idempotency_key: null,
    metadata: { agent_backend_lifecycle: 'session_cleanup', previous_agent_backend_run_id: previousRunId },
    session_snapshot: snapshotOf(holdings),
    deferred_tool_results: null,
    on_exit: { default: 'delete', layers: {} },
  };
}

/** Names of a composition differ, and orphans of several may come together. */
function cleanupName(index: number): string {
  return `held-${index + 1}`;
}

/** The snapshot with these layers as if they had never begun. */
export function startedAnew(snapshot: SessionSnapshot, holdings: readonly Holding[]): SessionSnapshot {
  const anew = new Set(holdings.map(({ layer }) => layer));
  return {
    ...snapshot,
    layers: snapshot.layers.map((layer) =>
      anew.has(layer) ? { name: layer.name, lifecycle_state: 'new', runtime_state: {} } : layer,
    ),
  };
}
