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
      /** How many requests the daemon gets. */
      readonly llmRequests: number;
      /** Replies beyond the recorded ones, for a run that goes further than the reference's did. */
      readonly replies?: readonly Reply[];
    };

export interface ExpectedDifference {
  readonly reason: string;
  readonly spec: string;
  readonly ours: Ours;
}

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

const later = (issue: string): ExpectedAnswer => ({
  reason: `routes of issue ${issue}`,
  status: 404,
  body: '{"detail":"Not Found"}',
});

/** The first entry whose pattern matches `METHOD path` is what an exchange is held to. */
export const EXPECTED_ANSWERS: readonly (readonly [RegExp, ExpectedAnswer])[] = [
  [/^GET \/healthz$/, { reason: 'a liveness probe (issue SLICE 9)', status: 200 }],
  [/^\w+ \/workspaces\//, later('SHELL')],
  [/^\w+ \/agent-stub\//, later('STUB')],
];
