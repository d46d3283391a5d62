// How a run's events become text, per wire vintage (spec README "Target"; 01 §5; 06 §0). The only place that knows a vintage.
// An event is serialised once, without its id: the store gives the id and readers splice it in front.

import type { JsonValue } from '../base/json.ts';
import type { WireVintage } from '../config/settings.ts';
import { stringifyJson } from '../wiretext/json.ts';
import type { AgentStreamEvent, RunEvent, RunUsage, TerminalEvent } from './events.ts';

/** `error` and `reason` of a `run_failed` event. */
export interface FailureTexts {
  readonly error: string;
  /** Null for ordinary failures at the seed; `shutdown`, `worker_lost` and the like otherwise. */
  readonly reason: string | null;
}

/** One vintage of the wire. */
export interface Wire {
  readonly vintage: WireVintage;
  /** Whether clients know the keys that came after the seed: `agent_message_delta`, `usage`, `error_type` … (spec 01 §5.3). */
  readonly newerKeys: boolean;
  /** The stored payload of an event: `{"run_id":…,"created_at":…,"type":…,"data":…}`, safe to put on one SSE line. */
  encode(runId: string, createdAt: string, event: RunEvent): string;
  /** How this vintage words a failure: by the exception's text, or by what the model's provider said (spec 03 §6.4). */
  failure(text: string, structured: FailureTexts | null): FailureTexts;
}

/** The wire of a vintage. */
export function createWire(vintage: WireVintage): Wire {
  return vintage === '2026-06' ? seedWire : augustWire;
}

const seedWire: Wire = {
  vintage: '2026-06',
  newerKeys: false,
  encode(runId, createdAt, event) {
    if (event.type === 'pydantic_ai_event') {
      return envelope(runId, createdAt, event.type, encodeStreamEvent(event.data), '');
    }
    return envelope(runId, createdAt, event.type, encodeSeedData(event), '');
  },
  failure: (text) => ({ error: text, reason: null }),
};

const augustWire: Wire = {
  vintage: '2026-08',
  newerKeys: true,
  encode(runId, createdAt, event) {
    if (event.type === 'pydantic_ai_event') {
      const data = event.data.event_kind === 'function_tool_result' ? renameResult(event.data) : event.data;
      const tail = `,"agent_message_delta":${quote(textOf(event.data))}`;
      return envelope(runId, createdAt, event.type, encodeStreamEvent(data), tail);
    }
    return envelope(runId, createdAt, event.type, encodeAugustData(event), '');
  },
  failure: (text, structured) => structured ?? { error: text, reason: null },
};

function envelope(runId: string, createdAt: string, type: string, data: string, tail: string): string {
  return `{"run_id":${JSON.stringify(runId)},"created_at":"${createdAt}","type":"${type}","data":${data}${tail}}`;
}

type StreamData = AgentStreamEvent | ReturnType<typeof renameResult>;

function encodeStreamEvent(event: StreamData): string {
  if (event.event_kind !== 'part_delta') return singleLine(stringifyJson(event));
  // Nearly every event of a run is one of these two: they are written without walking an object.
  const { index, delta } = event;
  const signature = delta.part_delta_kind === 'thinking' ? '"signature_delta":null,' : '';
  return `{"index":${index},"delta":{"content_delta":${quote(delta.content_delta)},${signature}"provider_name":null,"provider_details":null,"part_delta_kind":"${delta.part_delta_kind}"},"event_kind":"part_delta"}`;
}

type OtherEvent = Exclude<RunEvent, { type: 'pydantic_ai_event' }>;

function encodeSeedData(event: OtherEvent): string {
  switch (event.type) {
    case 'run_started':
      return '{}';
    case 'run_succeeded':
      return print({ session_snapshot: event.snapshot, ...event.result });
    case 'run_failed':
      return print({ error: event.error, reason: event.reason });
    case 'run_cancelled':
      return print({ reason: event.reason, message: event.message });
  }
}

function encodeAugustData(event: OtherEvent): string {
  switch (event.type) {
    case 'run_started':
      return '{}';
    case 'run_succeeded': {
      const usage = event.usage === null ? {} : { usage: publicUsage(event.usage) };
      return print({ session_snapshot: event.snapshot, ...event.result, ...usage });
    }
    case 'run_failed':
      return print({ error: event.error, error_type: event.errorType, reason: event.reason, ...remains(event) });
    case 'run_cancelled':
      return print({ reason: event.reason, message: event.message, ...remains(event) });
  }
}

function remains(event: Exclude<TerminalEvent, { type: 'run_succeeded' }>) {
  return { session_snapshot: event.snapshot, usage: event.usage === null ? null : publicUsage(event.usage) };
}

/** Spec 06 §13: the seed versions that publish usage print these three. */
function publicUsage(usage: RunUsage) {
  return {
    prompt_tokens: usage.promptTokens,
    completion_tokens: usage.completionTokens,
    total_tokens: usage.promptTokens + usage.completionTokens,
  };
}

function renameResult(event: Extract<AgentStreamEvent, { event_kind: 'function_tool_result' }>) {
  return { part: event.result, content: event.content, event_kind: event.event_kind };
}

/** `agent_message_delta`: the text of a text part's start or delta (spec 06 §17). */
function textOf(event: AgentStreamEvent): string | null {
  if (event.event_kind === 'part_delta' && event.delta.part_delta_kind === 'text') return event.delta.content_delta;
  if (event.event_kind === 'part_start' && event.part.part_kind === 'text') return event.part.content;
  return null;
}

function print(value: object): string {
  return singleLine(stringifyJson(value as unknown as JsonValue)); // built above from JSON parts only
}

function quote(text: string | null): string {
  if (text === null) return 'null';
  return singleLine(JSON.stringify(text.isWellFormed() ? text : text.toWellFormed()));
}

const UNSAFE = /[\u0085\u2028\u2029]|\\ud[89a-f]/;

/**
 * Makes JSON text safe for the reference's clients: U+0085, U+2028 and U+2029 break their SSE lines (spec 01 §8.3), and a
 * lone surrogate (which JSON.stringify writes as an escape) fails their parser; it becomes U+FFFD.
 */
function singleLine(json: string): string {
  if (!UNSAFE.test(json)) return json;
  return json
    .replace(/\u0085/g, '\\u0085')
    .replace(/\u2028/g, '\\u2028')
    .replace(/\u2029/g, '\\u2029')
    .replace(/\\(?:\\|u[dD][89a-fA-F][0-9a-fA-F]{2})/g, (match) => (match === '\\\\' ? match : '\\ufffd'));
}
