// Variables of running: how many runs, for how long, how their events are published, declared in the shape of the Settings that they fill (settings.ts). variables.ts puts the groups together.

import type { RawSettings } from '../raw.ts';
import {
  choice,
  decimal,
  flag,
  integer,
  MAX_TIMER_SECONDS,
  optionalDecimal,
  optionalFlag,
  type VariableTree,
} from '../variable.ts';

type RunSettings = Pick<
  RawSettings,
  | 'shutdownGraceSeconds'
  | 'runTimeoutSeconds'
  | 'maxActiveRuns'
  | 'idempotency'
  | 'textDeltaCoalescing'
  | 'enableScriptedModel'
>;

export const runVariables: VariableTree<RunSettings> = {
  shutdownGraceSeconds: decimal({
    name: 'DIFY_AGENT_SHUTDOWN_GRACE_SECONDS',
    description: 'How long a stopping server waits for running runs before it fails them. Zero or less: not at all.',
    default: 30,
    max: MAX_TIMER_SECONDS,
    unit: 'seconds',
  }),
  runTimeoutSeconds: optionalDecimal({
    name: 'DIFY_AGENT_RUN_TIMEOUT_SECONDS',
    description: 'How long the agent of a run may work before the run fails. Unset: as long as it takes.',
    min: 0.001,
    max: MAX_TIMER_SECONDS,
    unit: 'seconds',
  }),
  maxActiveRuns: integer({
    name: 'DIFY_AGENT_MAX_ACTIVE_RUNS',
    description: 'How many runs this process executes at once; more are refused with 503 and `Retry-After`.',
    default: 10_000,
    min: 1,
    max: 1_000_000,
  }),
  idempotency: choice({
    name: 'DIFY_AGENT_IDEMPOTENCY',
    description:
      'What `idempotency_key` does. `on`: the same key with the same request answers with the run that it created before. `strict`: the same key with another request is refused with 409, too. `off`: the key is ignored, as in the reference.',
    default: 'on',
    choices: ['on', 'strict', 'off'],
  }),
  textDeltaCoalescing: {
    enabled: optionalFlag({
      name: 'DIFY_AGENT_STREAM_TEXT_DELTA_COALESCING_ENABLED',
      description:
        'Whether consecutive text deltas are published as one event. Unset: only with wire vintage `2026-08`.',
    }),
    flushIntervalMs: integer({
      name: 'DIFY_AGENT_STREAM_TEXT_DELTA_FLUSH_INTERVAL_MS',
      description: 'How long a text delta waits for others to join it.',
      default: 100,
      min: 1,
      max: 60_000,
      unit: 'milliseconds',
    }),
    maxChars: integer({
      name: 'DIFY_AGENT_STREAM_TEXT_DELTA_MAX_CHARS',
      description: 'How many characters a joined text delta has before it is published at once.',
      default: 4_096,
      min: 1,
      max: 1_000_000,
      unit: 'characters',
    }),
  },
  enableScriptedModel: flag({
    name: 'DIFY_AGENT_ENABLE_SCRIPTED_MODEL',
    description:
      'Registers the layer type `test.scripted_llm`, a model that answers what its configuration says. For tests and demonstrations.',
    default: false,
  }),
};
