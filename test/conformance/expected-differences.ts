// Every difference from the recorded reference that is on purpose, with its reason. Nothing else may differ.
// Each entry says what we do instead, and the suite checks exactly that.
//
// True in every scenario, and therefore checked by the suite itself rather than listed per scenario:
// - a stream closes after its terminal frame (spec README "Better on purpose"): every replay reads until the close;
// - U+0085, U+2028 and U+2029 are escaped in frames and pages (01 §10.13): the strict reader refuses them raw;
// - `input_value=…` in errors about configurations and snapshots is masked (02 §14.5): compare.ts masks both sides.

import { chunk, lastItem, type Reply } from '../fakes/plugin-daemon.ts';

/** What we do instead of what was recorded. */
export type Ours =
  /** The record with these texts replaced: everything else is compared as ever. */
  | { readonly kind: 'patched'; readonly replace: readonly (readonly [recorded: string, ours: string])[] }
  /** Another course: these event kinds, this end. */
  | {
      readonly kind: 'outcome';
      readonly eventKinds: readonly string[];
      readonly status: 'succeeded' | 'failed';
      /** JSON text of `data.output`. */
      readonly output?: string;
      /** Exactly `data.error` and the record's `error`. */
      readonly error?: string;
      /** JSON text of `data.session_snapshot`. */
      readonly snapshot?: string;
      /** How many model requests the daemon gets. */
      readonly llmRequests: number;
      /** How many tool requests it gets; default none. */
      readonly toolRequests?: number;
      /** What the tool messages of the last model request say. */
      readonly told?: readonly string[];
      /** JSON text of the output tool's parameters, as the model is shown them. */
      readonly schema?: string;
      /** What the `function_tool_result` events say, in their order. */
      readonly results?: readonly string[];
      /** Replies beyond the recorded ones, for a run that goes further than the reference's did. */
      readonly replies?: readonly Reply[];
    };

export interface ExpectedDifference {
  readonly reason: string;
  readonly spec: string;
  readonly ours: Ours;
}

/** Matched with any generated id. */
const GENERATED_ID = `pyd_ai_${'0'.repeat(32)}`;
const TEXT_RUN = ['run_started', 'part_start', 'final_result', 'part_end', 'run_succeeded'] as const;
const ANSWER: Reply = [{ data: chunk({ content: 'ok' }) }, lastItem()];

const tolerated = (reason: string, spec: string, output: string): ExpectedDifference => ({
  reason,
  spec,
  ours: { kind: 'outcome', eventKinds: TEXT_RUN, status: 'succeeded', output, llmRequests: 1 },
});

const acceptedContext = (reason: string): ExpectedDifference => ({
  reason,
  spec: 'README corrections (02 §11, 03 §1.2)',
  ours: {
    kind: 'outcome',
    eventKinds: TEXT_RUN,
    status: 'succeeded',
    output: '"ok"',
    llmRequests: 1,
    replies: [ANSWER],
  },
});

type Outcome = Extract<Ours, { kind: 'outcome' }>;

/** A tool's transport failure does not end the run: the model is told, in these words. */
const toldToTheModel = (told: readonly string[], ours: Partial<Outcome> = {}): ExpectedDifference => ({
  reason: "a tool's transport failure is told to the model",
  spec: '03 §10.10',
  ours: {
    kind: 'outcome',
    eventKinds: [
      'run_started',
      'part_start',
      'part_end',
      'function_tool_call',
      'function_tool_result',
      ...TEXT_RUN.slice(1),
    ],
    status: 'succeeded',
    output: '"ok"',
    llmRequests: 2,
    toolRequests: 1,
    told,
    replies: [ANSWER],
    ...ours,
  },
});

/** A composition that the reference refuses, answered in one call of the output tool. */
const structured = (reason: string, spec: string, output: string, schema: string): ExpectedDifference => ({
  reason,
  spec,
  ours: { kind: 'outcome', eventKinds: TEXT_RUN, status: 'succeeded', output, llmRequests: 1, schema },
});

/** By scenario. */
export const EXPECTED_DIFFERENCES: Readonly<Record<string, ExpectedDifference>> = {
  chunk_missing_index: tolerated('a chunk without delta.index is read', '03 §10.2', '"hi"'),
  chunk_tool_calls_null: tolerated('tool_calls null is read as none', '03 §10.2', '"hi"'),
  sse_event_line: tolerated('event: lines of the daemon are ignored', '03 §10.1', '"b"'),
  unicode_raw_u0085: tolerated('only LF ends a line; U+0085 is text', '03 §10.1', '"x\\u0085y"'),
  content_list_image_detail_empty: {
    reason: 'detail "" is read as absent; an answer of files alone is asked again',
    spec: '03 §10.2; 06 §6.2',
    ours: {
      kind: 'outcome',
      eventKinds: ['run_started', 'part_start', ...TEXT_RUN.slice(1)],
      status: 'succeeded',
      output: '"ok"',
      llmRequests: 2,
      replies: [ANSWER],
    },
  },
  finish_reason_empty: {
    reason: 'an empty finish reason is none, not an error',
    spec: '03 §10.12',
    ours: { kind: 'patched', replace: [['"finish_reason":"error"', '"finish_reason":null']] },
  },
  tool_call_null_id: {
    reason: 'an id of null is none: the call gets one of its own',
    spec: '03 §10.4',
    ours: {
      kind: 'patched',
      replace: [
        ['"None"', `"${GENERATED_ID}"`],
        ['\\"None\\"', `\\"${GENERATED_ID}\\"`],
      ],
    },
  },
  tool_fragments_appended_style: {
    reason: 'fragments of a call are joined; the call is made',
    spec: '03 §10.4; 06 §18.2',
    ours: {
      kind: 'outcome',
      eventKinds: [
        ...['run_started', 'part_start', 'part_end', 'part_start', 'part_end'],
        ...['function_tool_call', 'function_tool_result', ...TEXT_RUN.slice(1)],
      ],
      status: 'succeeded',
      output: '"ok"',
      llmRequests: 2,
      toolRequests: 1,
      told: ['x'],
    },
  },
  tool_result_unknown_type: {
    reason: 'tool messages of unknown types are skipped',
    spec: '03 §10.2',
    ours: {
      kind: 'outcome',
      eventKinds: [
        ...['run_started', 'part_start', 'part_end', 'function_tool_call', 'function_tool_result'],
        ...TEXT_RUN.slice(1),
      ],
      status: 'succeeded',
      output: '"done"',
      llmRequests: 2,
      toolRequests: 1,
      told: [''],
    },
  },
  tool_error_cut_before_headers: toldToTheModel(
    ['tool invoke error: Server disconnected without sending a response.'],
    { output: '"done"', replies: [] },
  ),
  tool_error_read_timeout: toldToTheModel(['tool invoke error: ReadTimeout']),
  llm_error_pool_timeout: toldToTheModel(['s', 'tool invoke error: PoolTimeout'], {
    eventKinds: [
      ...['run_started', 'part_start', 'part_end', 'part_start', 'part_end'],
      ...['function_tool_call', 'function_tool_call', 'function_tool_result', 'function_tool_result'],
      ...TEXT_RUN.slice(1),
    ],
  }),
  tool_daemon_down: {
    reason: "a tool's transport failure is told to the model; then the model itself cannot be reached",
    spec: '03 §10.10',
    ours: {
      kind: 'outcome',
      eventKinds: [
        ...['run_started', 'part_start', 'part_end', 'function_tool_call', 'function_tool_result', 'run_failed'],
      ],
      status: 'failed',
      error: 'All connection attempts failed',
      results: ['tool invoke error: All connection attempts failed'],
      llmRequests: 1,
    },
  },
  output_property_named_default: structured(
    'a property may be named as a keyword is: references below it are inlined like all others',
    '02 §14.6',
    '{"x":"a"}',
    '{"properties":{"default":{"type":"string"},"x":{"type":"string"}},"title":"final_output","type":"object"}',
  ),
  output_ref_inside_enum: structured(
    'a $ref key inside enum or const is data',
    'README corrections (02 §9.3)',
    '{}',
    '{"properties":{"e":{"enum":[{"$ref":"#/not/a/ref"}]}},"title":"final_output","type":"object"}',
  ),
  output_ref_without_defs: {
    reason: 'a reference without $defs is refused before the model is asked, in the words for a missing one',
    spec: '02 §14.7',
    ours: {
      kind: 'patched',
      replace: [["'#/$defs/N'", "Local $ref '#/$defs/N' could not be resolved from $defs."]],
    },
  },
  ctx_missing_agent_mode: acceptedContext('agent_mode may be absent'),
  ctx_only_tenant: acceptedContext('user_from, agent_mode and invoke_from may be absent'),
  no_llm_with_snapshot: {
    reason: 'no layer named llm and a snapshot: the run only applies on_exit, and succeeds',
    spec: 'README "Settled where documents differ"; 02 §12.3',
    ours: {
      kind: 'outcome',
      eventKinds: ['run_started', 'run_succeeded'],
      status: 'succeeded',
      output: 'null',
      snapshot:
        '{"schema_version":1,"layers":[{"name":"prompt","lifecycle_state":"closed","runtime_state":{}},{"name":"history","lifecycle_state":"closed","runtime_state":{"messages":[]}}]}',
      llmRequests: 0,
    },
  },
};

/** What we answer to an HTTP exchange instead. */
export interface ExpectedAnswer {
  readonly reason: string;
  readonly status: number;
  /** Exact body; absent: any. */
  readonly body?: string;
  /** Headers that must be so. */
  readonly headers?: Readonly<Record<string, string>>;
}

const UNCONFIGURED_STUB: ExpectedAnswer = {
  reason: 'the stub authenticates before it parses (05 §12.1): whoever has no token learns nothing about bodies',
  status: 503,
  body: '{"detail":"Agent Stub is not configured"}',
};

const CANCELS = 'runs can be cancelled, with the V4 semantics (01 §7.4); at the target the route answers 501';

/** The first entry whose pattern matches `METHOD path recorded-status` is what an exchange is held to. */
export const EXPECTED_ANSWERS: readonly (readonly [RegExp, ExpectedAnswer])[] = [
  [/^GET \/healthz /, { reason: 'a liveness probe (issue SLICE 9)', status: 200 }],
  [
    /^POST \/runs\/00000000-0000-4000-8000-000000000000\/cancel 501$/,
    { reason: CANCELS, status: 404, body: '{"detail":"run not found"}' },
  ],
  [/^POST \/agent-stub\/(?:connections|files\/upload-request) 422$/, UNCONFIGURED_STUB],
  [
    /^POST \/sandbox\/files\/list 404$/,
    { reason: 'the sandbox routes of later in June are served, too (README, corrections: 04)', status: 422 },
  ],
];

/** The same for exchanges about a run of their trace, by their note. `{run}` in a body: the run's id. */
export const EXPECTED_ANSWERS_BY_NOTE: Readonly<Record<string, ExpectedAnswer>> = {
  'cancel of a finished run': {
    reason: CANCELS,
    status: 409,
    body: `{"detail":"run already finished with status 'succeeded'"}`,
  },
  'cancel while running': { reason: CANCELS, status: 200, body: '{"run_id":"{run}","status":"cancelled"}' },
};
