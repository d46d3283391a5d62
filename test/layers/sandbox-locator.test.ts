// From composition and snapshot to a workspace: what is accepted, whose identity it carries, and the texts of what is refused.

import { afterAll, expect, test } from 'bun:test';
import type { JsonObject, JsonValue } from '../../src/base/json.ts';
import { CompositionError } from '../../src/compositor/errors.ts';
import { createLayerRegistry } from '../../src/compositor/registry.ts';
import { locateSandbox } from '../../src/layers/sandbox-locator.ts';
import { shellLayer } from '../../src/layers/shell.ts';
import type { RunComposition, SessionSnapshot } from '../../src/protocol/runs.ts';
import { layerTypes } from './fixtures.ts';
import { shellWorld } from './shell/kit.ts';

const world = shellWorld();
afterAll(() => world.stop());
const registry = createLayerRegistry([
  ...layerTypes().filter(({ typeId }) => typeId !== 'dify.shell'),
  shellLayer(world.deps),
]);

const STATE = { session_id: '3f9a0c4', workspace_cwd: '~/workspace/3f9a0c4', job_ids: [], job_offsets: {} };
const CONTEXT = {
  tenant_id: 't-1',
  user_id: 'u-1',
  user_from: 'account',
  agent_mode: 'workflow_run',
  invoke_from: 'service-api',
};

interface Parts {
  readonly config?: JsonValue;
  readonly deps?: Readonly<Record<string, string>>;
  readonly state?: JsonObject;
  readonly lifecycle?: 'new' | 'suspended' | 'closed';
  readonly shellName?: string;
  readonly shellType?: string;
  /** Layers before. */
  readonly more?: readonly string[];
  readonly context?: string | null;
}

function locate(parts: Parts = {}) {
  const {
    config = {},
    state = STATE,
    lifecycle = 'suspended',
    shellName = 'shell',
    context = 'execution_context',
  } = parts;
  const deps = parts.deps ?? (context === null ? {} : { execution_context: context });
  const layers = [
    ...(parts.more ?? []).map((name) => ({ name, type: 'plain.prompt', config: null, deps: {}, metadata: {} })),
    ...(context === null
      ? []
      : [{ name: context, type: 'dify.execution_context', config: CONTEXT, deps: {}, metadata: {} }]),
    { name: shellName, type: parts.shellType ?? 'dify.shell', config, deps, metadata: {} },
  ];
  const composition: RunComposition = { schema_version: 1, layers };
  const session_snapshot: SessionSnapshot = {
    schema_version: 1,
    layers: layers.map(({ name }) => ({
      name,
      lifecycle_state: name === shellName ? lifecycle : 'suspended',
      runtime_state: name === shellName ? state : {},
    })),
  };
  return locateSandbox({ composition, session_snapshot }, registry);
}

function refusal(parts: Parts): string {
  try {
    locate(parts);
  } catch (error) {
    if (error instanceof CompositionError) return error.message;
    throw error;
  }
  return 'accepted';
}

test('both forms of the locator: two layers, or the shell among others', () => {
  const found = locate();
  expect(found.sessionId as string).toBe('3f9a0c4');
  expect(found.context).toMatchObject({ tenant_id: 't-1', user_id: 'u-1' });
  expect(found.driveRef).toBeNull();
  expect(locate({ more: ['prompt', 'other'], context: 'where' }).context).toMatchObject({ tenant_id: 't-1' });
});

test('without an execution context nobody is asked for', () => {
  expect(locate({ context: null })).toMatchObject({ sessionId: '3f9a0c4', context: null });
  // It is there, but the shell does not depend on it.
  expect(locate({ deps: {} }).context).toBeNull();
});

test('the config in each of its forms; the drive comes from it', () => {
  for (const config of [null, {}, '{}']) expect(locate({ config }).driveRef).toBeNull();
  expect(locate({ config: { agent_stub_drive_ref: 'agent-1' } }).driveRef).toBe('agent-1');
  expect(locate({ config: '{"agent_stub_drive_ref":"agent-1"}' }).driveRef).toBe('agent-1');
});

test('nothing is asked of shellctl, and nothing is entered', () => {
  locate();
  expect(world.fake.requests).toEqual([]);
});

test('a session that was deleted', () => {
  expect(refusal({ lifecycle: 'closed' })).toBe("Layer 'shell' is closed; CLOSED snapshots cannot be entered.");
});

test('a session that never began, is forged, or names another directory', () => {
  const missing = 'DifyShellLayer runtime state is missing session_id or workspace_cwd.';
  expect(refusal({ state: {} })).toBe(missing);
  expect(refusal({ state: {}, lifecycle: 'new' })).toBe(missing);
  expect(refusal({ state: { ...STATE, workspace_cwd: null } })).toBe(missing);
  for (const id of ['3F9A0C4', '3f9a0c4\n', '../../x', '3f9a0c', '3f9a0c44', '', '٣f9a0c4', '3f9a0c4\0']) {
    const text = refusal({ state: { ...STATE, session_id: id, workspace_cwd: `~/workspace/${id}` } });
    expect(text).toContain("session_id must match the 5+2 lowercase hex format '<5 hex><2 hex>'.");
  }
  for (const cwd of ['/etc', '~/workspace/../..', '~/workspace/3f9a0c5', '~/workspace/3f9a0c4/', '']) {
    expect(refusal({ state: { ...STATE, workspace_cwd: cwd } })).toContain('workspace_cwd must equal');
  }
  expect(refusal({ state: { ...STATE, more: 1 } })).toContain('Extra inputs are not permitted');
});

test('compositions that do not have it', () => {
  expect(refusal({ shellName: 'bash' })).toContain('shell');
  expect(refusal({ shellType: 'plain.prompt', deps: {}, state: {} })).toContain('shell');
  expect(refusal({ config: { unknown: 1 } })).toContain('Extra inputs are not permitted');
  expect(refusal({ config: 'no json' })).toContain('Invalid JSON');
  expect(refusal({ deps: { execution_context: 'nowhere' } })).toContain('nowhere');
});

test('a snapshot of other layers is refused', () => {
  const composition: RunComposition = {
    schema_version: 1,
    layers: [{ name: 'shell', type: 'dify.shell', config: {}, deps: {}, metadata: {} }],
  };
  const snapshot: SessionSnapshot = { schema_version: 1, layers: [] };
  expect(() => locateSandbox({ composition, session_snapshot: snapshot }, registry)).toThrow(
    'CompositorSessionSnapshot layer names must match compositor layers in order.',
  );
});

test('without shellctl the composition is refused as a run of it would be', () => {
  const bare = createLayerRegistry(layerTypes());
  const composition: RunComposition = {
    schema_version: 1,
    layers: [{ name: 'shell', type: 'dify.shell', config: {}, deps: {}, metadata: {} }],
  };
  const session_snapshot: SessionSnapshot = {
    schema_version: 1,
    layers: [{ name: 'shell', lifecycle_state: 'suspended', runtime_state: STATE }],
  };
  expect(() => locateSandbox({ composition, session_snapshot }, bare)).toThrow('DIFY_AGENT_SHELLCTL_ENTRYPOINT');
});
