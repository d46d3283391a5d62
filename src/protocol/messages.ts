// Messages and their parts: what a history layer stores and what stream events carry (spec 06 §3, 02 §8.2).
// Field order is dump order. `tolerated` names the keys of newer vintages: accepted on input, never written.

import type { JsonValue } from '../base/json.ts';
import {
  any,
  datetime,
  dict,
  int,
  json,
  list,
  literal,
  model,
  nullable,
  type Out,
  optional,
  required,
  sequence,
  str,
  tagged,
  union,
} from './dialect.ts';
import { binaryContent, dataclass, freeObject, userContent } from './user-content.ts';

/** Everything that message schemas take from outside: the time and the ids that fill absent fields. */
export interface MessageDefaults {
  /** RFC 3339 text of now. */
  readonly now: () => string;
  readonly toolCallId: () => string;
}

/** The message schemas. Built once per process with its clock. */
export function messageSchemas(defaults: MessageDefaults) {
  const nullString = () => optional(nullable(str()), null);
  const provider = {
    id: nullString(),
    provider_name: nullString(),
    provider_details: optional(nullable(freeObject()), null),
  };
  const timestamp = optional(datetime(), defaults.now);
  const callId = optional(str(), defaults.toolCallId);
  const kind = <const K extends string>(value: K) => optional(literal(value), value);

  const toolReturnFields = {
    tool_name: required(str()),
    content: required(json()),
    tool_call_id: callId,
    metadata: optional(any(), null),
    timestamp,
    outcome: optional(literal('success', 'failed', 'denied'), 'success' as const),
  };
  const toolCallFields = {
    tool_name: required(str()),
    args: optional(nullable(union({ str: str(), 'dict[str,any]': freeObject() })), null),
    tool_call_id: callId,
    ...provider,
  };
  const tolerated = { ...dataclass, tolerated: ['tool_kind'] };

  const requestPart = tagged('part_kind', {
    'system-prompt': model(
      'SystemPromptPart',
      { content: required(str()), timestamp, dynamic_ref: nullString(), part_kind: kind('system-prompt') },
      dataclass,
    ),
    'user-prompt': model(
      'UserPromptPart',
      {
        content: required(union({ str: str(), 'list[union]': list(userContent) })),
        timestamp,
        part_kind: kind('user-prompt'),
      },
      dataclass,
    ),
    'tool-return': model('ToolReturnPart', { ...toolReturnFields, part_kind: kind('tool-return') }, tolerated),
    'retry-prompt': model(
      'RetryPromptPart',
      {
        content: required(
          union({
            'list[ErrorDetails]': list(
              model(
                'ErrorDetails',
                { type: required(str()), loc: required(list(any())), msg: required(str()), input: required(any()) },
                { flavour: 'typed_dict', tolerated: ['ctx', 'url'] },
              ),
            ),
            str: str(),
          }),
        ),
        tool_name: nullString(),
        tool_call_id: callId,
        timestamp,
        part_kind: kind('retry-prompt'),
      },
      tolerated,
    ),
  });

  const responsePart = tagged('part_kind', {
    text: model('TextPart', { content: required(str()), ...provider, part_kind: kind('text') }, dataclass),
    'tool-call': model('ToolCallPart', { ...toolCallFields, part_kind: kind('tool-call') }, tolerated),
    'builtin-tool-call': model(
      'BuiltinToolCallPart',
      { ...toolCallFields, part_kind: kind('builtin-tool-call') },
      tolerated,
    ),
    'builtin-tool-return': model(
      'BuiltinToolReturnPart',
      {
        ...toolReturnFields,
        provider_name: nullString(),
        provider_details: optional(nullable(freeObject()), null),
        part_kind: kind('builtin-tool-return'),
      },
      tolerated,
    ),
    thinking: model(
      'ThinkingPart',
      {
        content: required(str()),
        id: nullString(),
        signature: nullString(),
        provider_name: nullString(),
        provider_details: optional(nullable(freeObject()), null),
        part_kind: kind('thinking'),
      },
      dataclass,
    ),
    compaction: model(
      'CompactionPart',
      { content: optional(nullable(str()), null), ...provider, part_kind: kind('compaction') },
      dataclass,
    ),
    file: model('FilePart', { content: required(binaryContent()), ...provider, part_kind: kind('file') }, dataclass),
  });

  const tokens = () => optional(int(), 0);
  const usage = model(
    'RequestUsage',
    {
      input_tokens: optional(int(), 0, { aliases: ['request_tokens'] }),
      cache_write_tokens: tokens(),
      cache_read_tokens: tokens(),
      output_tokens: optional(int(), 0, { aliases: ['response_tokens'] }),
      input_audio_tokens: tokens(),
      cache_audio_read_tokens: tokens(),
      output_audio_tokens: tokens(),
      details: optional(nullable(dict(int())), () => ({})),
    },
    { ...dataclass, tolerated: ['cost', 'requests'] },
  );

  const request = model(
    'ModelRequest',
    {
      parts: required(sequence(requestPart)),
      timestamp: optional(nullable(datetime()), null),
      instructions: nullString(),
      kind: kind('request'),
      run_id: nullString(),
      metadata: optional(nullable(freeObject()), null),
    },
    { ...dataclass, tolerated: ['conversation_id', 'state'] },
  );
  const response = model(
    'ModelResponse',
    {
      parts: required(sequence(responsePart)),
      usage: optional(usage, () => emptyUsage()),
      model_name: nullString(),
      timestamp,
      kind: kind('response'),
      provider_name: nullString(),
      provider_url: nullString(),
      provider_details: optional(nullable(freeObject()), null, { aliases: ['vendor_details'] }),
      provider_response_id: optional(nullable(str()), null, { aliases: ['vendor_id'] }),
      finish_reason: optional(nullable(literal('stop', 'length', 'content_filter', 'tool_call', 'error')), null),
      run_id: nullString(),
      metadata: optional(nullable(freeObject()), null),
    },
    { ...dataclass, tolerated: ['conversation_id', 'state'] },
  );
  return { request, response, requestPart, responsePart, message: tagged('kind', { request, response }) };
}

type Schemas = ReturnType<typeof messageSchemas>;

/** A message to the model. */
export type ModelRequest = Out<Schemas['request']>;
/** An answer of the model. */
export type ModelResponse = Out<Schemas['response']>;
export type ModelMessage = ModelRequest | ModelResponse;
export type RequestPart = Out<Schemas['requestPart']>;
export type ResponsePart = Out<Schemas['responsePart']>;
export type PartKind = ResponsePart['part_kind'];
export type TextPart = Extract<ResponsePart, { part_kind: 'text' }>;
export type ThinkingPart = Extract<ResponsePart, { part_kind: 'thinking' }>;
export type ToolCallPart = Extract<ResponsePart, { part_kind: 'tool-call' }>;
export type FilePart = Extract<ResponsePart, { part_kind: 'file' }>;
export type ToolReturnPart = Extract<RequestPart, { part_kind: 'tool-return' }>;
export type RetryPromptPart = Extract<RequestPart, { part_kind: 'retry-prompt' }>;
export type UserPromptPart = Extract<RequestPart, { part_kind: 'user-prompt' }>;
export type FinishReason = NonNullable<ModelResponse['finish_reason']>;
/** Tokens of one model response (spec 06 §3.2). */
export type RequestUsage = ModelResponse['usage'];

/** Usage before the daemon reported any. */
export function emptyUsage() {
  return {
    input_tokens: 0,
    cache_write_tokens: 0,
    cache_read_tokens: 0,
    output_tokens: 0,
    input_audio_tokens: 0,
    cache_audio_read_tokens: 0,
    output_audio_tokens: 0,
    details: {} as Readonly<Record<string, number>>,
  };
}

/** One entry of a retry prompt that lists what was wrong (spec 06 §3.1). */
export interface ErrorDetails {
  readonly type: string;
  readonly loc: readonly (string | number)[];
  readonly msg: string;
  readonly input: JsonValue;
}
