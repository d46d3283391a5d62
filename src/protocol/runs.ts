// The run API's bodies: what a caller posts and what it gets back (spec 01 §1.2, §1.5; 02 §1, §6).

import type { JsonValue } from '../base/json.ts';
import {
  absent,
  any,
  bytes,
  checked,
  dict,
  enumeration,
  int,
  json,
  list,
  literal,
  model,
  nullable,
  type Out,
  optional,
  required,
  type Schema,
  str,
  union,
} from './dialect.ts';

/** What a layer does when the run exits. */
export const exitIntent = enumeration('delete', 'suspend');
export type ExitIntent = Out<typeof exitIntent>;

/** Location segments of pydantic's, when a value fits no member of the unions below. */
const JSON_VALUE = 'json-or-python[json=any,python=tagged-union[list[...],dict[str,...],str,bool,int,float,none]]';
const CONFIG_VALUE = `union[${JSON_VALUE},LayerConfig]`;

export const layerConfigValue = union({ [JSON_VALUE]: json(), LayerConfig: model('LayerConfig', {}) });
/** Any JSON. An object may even nest without bound, for the reference also takes a mapping of anything. */
export const layerConfigInput = union({
  [CONFIG_VALUE]: layerConfigValue,
  'dict[str,any]': dict(any()),
  str: str(),
  bytes: bytes(),
});

const runLayerSpec = model('RunLayerSpec', {
  name: required(str()),
  type: required(str()),
  deps: optional(dict(str()), () => ({})),
  metadata: optional(dict(json()), () => ({})),
  config: optional(layerConfigInput as Schema<JsonValue>, null), // all its members take and yield JSON
});
/** One layer of a composition: its name, type id, dependencies (key → layer name) and configuration. */
export type RunLayerSpec = Out<typeof runLayerSpec>;

export const runComposition = model('RunComposition', {
  schema_version: optional(int(), 1),
  layers: required(list(runLayerSpec)),
});
export type RunComposition = Out<typeof runComposition>;

/** States of a layer; `active` is internal and refused in snapshots (spec 02 §3). */
export const lifecycleState = enumeration('new', 'active', 'suspended', 'closed');
export type LifecycleState = Out<typeof lifecycleState>;

const layerSessionSnapshot = model('LayerSessionSnapshot', {
  name: required(str()),
  lifecycle_state: required(
    checked(lifecycleState, (state) =>
      state === 'active' ? 'LifecycleState.ACTIVE is internal-only and cannot appear in session snapshots.' : null,
    ),
  ),
  runtime_state: required(dict(json())),
});
export type LayerSessionSnapshot = Out<typeof layerSessionSnapshot>;

export const sessionSnapshot = model('CompositorSessionSnapshot', {
  schema_version: optional(int(), 1),
  layers: required(list(layerSessionSnapshot)),
});
/** What resumes an agent: the layers' states after a run. */
export type SessionSnapshot = Out<typeof sessionSnapshot>;

const deferredToolResults = model('DeferredToolResultsPayload', {
  calls: optional(dict(json()), () => ({})),
  metadata: optional(dict(dict(json())), () => ({})),
});
export type DeferredToolResults = Out<typeof deferredToolResults>;

const layerExitSignals = model('LayerExitSignals', {
  default: optional(exitIntent, 'suspend' as const),
  layers: optional(dict(exitIntent), () => ({})),
});
export type LayerExitSignals = Out<typeof layerExitSignals>;

export const createRunRequest = model('CreateRunRequest', {
  composition: required(runComposition),
  /** README, corrections: present at the target; accepted and inert. */
  purpose: optional(
    literal('workflow_node', 'single_step', 'agent_app', 'babysit', 'fasten_preview'),
    'workflow_node' as const,
  ),
  idempotency_key: optional(nullable(str()), null),
  metadata: optional(dict(json()), () => ({})),
  session_snapshot: optional(nullable(sessionSnapshot), null),
  deferred_tool_results: optional(nullable(deferredToolResults), null),
  on_exit: optional(layerExitSignals, () => ({ default: 'suspend' as const, layers: {} })),
});
/** The body of `POST /runs`, defaults filled in. */
export type CreateRunRequest = Out<typeof createRunRequest>;

export const cancelRunRequest = model('CancelRunRequest', {
  /** For programs: `user_cancelled` and the like. */
  reason: optional(nullable(str()), null),
  /** For people; `RunStatusResponse.error`, else the reason. */
  message: optional(nullable(str()), null),
});
/** The body of `POST /runs/{id}/cancel`. Of several cancels of a run the first one's texts stay. */
export type CancelRunRequest = Out<typeof cancelRunRequest>;

export const runStatus = literal('running', 'succeeded', 'failed', 'cancelled');
export type RunStatus = Out<typeof runStatus>;
export type TerminalStatus = Exclude<RunStatus, 'running'>;

export const createRunResponse = model('CreateRunResponse', {
  run_id: required(str()),
  status: required(runStatus),
});

const statusFields = {
  run_id: required(str()),
  status: required(runStatus),
  created_at: required(str()),
  updated_at: required(str()),
  error: optional(nullable(str()), null),
};

/** A run as `GET /runs/{id}` prints it; key order is the wire's. */
export const runStatusResponse = model('RunStatusResponse', statusFields);

/** The same for clients that know the keys that came after the seed (spec 01 §1.5, V3). */
export const newerRunStatusResponse = model('RunStatusResponse', {
  ...statusFields,
  /** `agent_run_limit_exceeded`, or null. */
  error_type: optional(nullable(str()), null),
});

/** A run as the store keeps it. */
export type RunRecord = Out<typeof runStatusResponse> & {
  /** Absent where it is null: implementations of the seed refuse the key. */
  readonly error_type?: string;
};

/** `status` is what the run will be: it is still `running` until its layers have exited (spec 01 §7.4, V4). */
export const cancelRunResponse = model('CancelRunResponse', {
  run_id: required(str()),
  status: required(literal('cancelled')),
});

const outlinedLayer = model('OutlinedLayer', {
  name: required(str()),
  type: required(str()),
  /** Dependency key → name of the layer; absent without any. */
  deps: absent(dict(str())),
});
/** A layer as lists of runs show it: what a picture of the composition needs, never its configuration. */
export type OutlinedLayer = Out<typeof outlinedLayer>;

const listedUsage = model('ListedUsage', {
  prompt_tokens: required(int()),
  completion_tokens: required(int()),
  total_tokens: required(int()),
});

const listedRun = model('ListedRun', {
  run_id: required(str()),
  status: required(runStatus),
  created_at: required(str()),
  updated_at: required(str()),
  error: required(nullable(str())),
  error_type: required(nullable(str())),
  reason: required(nullable(str())),
  tenant_id: required(nullable(str())),
  duration_ms: required(nullable(int())),
  usage: required(nullable(listedUsage)),
  layers: required(nullable(list(outlinedLayer))),
  layers_omitted: required(int()),
});
/** A run as `GET /runs` prints it. */
export type ListedRunItem = Out<typeof listedRun>;

/** A page of `GET /runs`. */
export const runListResponse = model('RunListResponse', {
  items: required(list(listedRun)),
  next_after: required(nullable(str())),
});
