// The data of a model item (spec 03 §4.1): what a good one looks like, checked inline and cheaply, and the schema that
// words what is wrong with a bad one. More tolerant than the reference where its strictness only loses answers (§10.2).

import {
  absent,
  any,
  decimal,
  dict,
  float,
  int,
  list,
  model,
  nullable,
  optional,
  required,
  str,
  union,
} from '../protocol/dialect.ts';
import { printPydantic } from '../validation/pydantic.ts';
import { validate } from '../validation/walker.ts';
import { type JsonNumber, toNumber } from '../wiretext/numbers.ts';

/** What a chunk says. */
export interface LlmChunk {
  /** Never null: null and absent are `''`. */
  readonly content: string | readonly ContentItem[];
  readonly toolCalls: readonly RawToolCall[];
  readonly usage: { readonly inputTokens: number; readonly outputTokens: number } | null;
  readonly finishReason: string | null;
}

/** An item of a content list. Unknown types and keys are for the reader to skip. */
export type ContentItem = Readonly<Record<string, unknown>>;

/** A tool call as the plugin sent it. */
export interface RawToolCall {
  readonly id?: unknown;
  readonly function: { readonly name?: string | null; readonly arguments?: string | null };
}

const ignore = { extra: 'ignore' } as const;

const toolCall = model(
  'ToolCall',
  {
    id: absent(any()),
    type: absent(nullable(str())),
    function: required(
      model('ToolCallFunction', { name: absent(nullable(str())), arguments: absent(nullable(str())) }, ignore),
    ),
  },
  ignore,
);

/** Prices are not read here, but must be some. All twelve are required. */
const usage = model(
  'LLMUsage',
  {
    prompt_tokens: required(int()),
    prompt_unit_price: required(decimal()),
    prompt_price_unit: required(decimal()),
    prompt_price: required(decimal()),
    completion_tokens: required(int()),
    completion_unit_price: required(decimal()),
    completion_price_unit: required(decimal()),
    completion_price: required(decimal()),
    total_tokens: required(int()),
    total_price: required(decimal()),
    currency: required(str()),
    latency: required(float()),
    time_to_first_token: absent(nullable(float())),
    time_to_generate: absent(nullable(float())),
  },
  ignore,
);

const chunkSchema = model(
  'LLMResultChunk',
  {
    model: required(str()),
    system_fingerprint: absent(nullable(str())),
    delta: required(
      model(
        'LLMResultChunkDelta',
        {
          index: absent(nullable(int())),
          message: required(
            model(
              'AssistantPromptMessage',
              {
                content: optional(nullable(union({ str: str(), list: list(dict(any())) })), null),
                tool_calls: optional(nullable(list(toolCall)), null),
              },
              ignore,
            ),
          ),
          usage: optional(nullable(usage), null),
          finish_reason: optional(nullable(str()), null),
        },
        ignore,
      ),
    ),
  },
  ignore,
);

/** Reads the data of an item. Throws the error that `reject` makes of a text when it is no chunk. */
export function readLlmChunk(data: unknown, reject: (text: string) => Error): LlmChunk {
  const good = readGood(data);
  if (good !== null) return good;
  const result = validate(chunkSchema, data);
  if (!result.ok) throw reject(printPydantic('LLMResultChunk', result.issues, { maskInput: false }));
  const { message, usage: used, finish_reason } = result.value.delta;
  return {
    content: message.content ?? '',
    toolCalls: message.tool_calls ?? [],
    usage: used === null ? null : tokens(used.prompt_tokens, used.completion_tokens),
    finishReason: finish_reason,
  };
}

type Fields = Readonly<Record<string, unknown>>;

const NO_CALLS: readonly RawToolCall[] = [];

/** The chunk when everything has the expected type, else null: the schema decides then. */
function readGood(data: unknown): LlmChunk | null {
  if (!isFields(data) || typeof data.model !== 'string') return null;
  const delta = data.delta;
  if (!isFields(delta) || !isIndex(delta.index) || !isText(data.system_fingerprint)) return null;
  const message = delta.message;
  if (!isFields(message)) return null;
  const content = message.content ?? '';
  if (typeof content !== 'string' && !(Array.isArray(content) && content.every(isFields))) return null;
  const calls = message.tool_calls ?? NO_CALLS;
  if (!Array.isArray(calls) || (calls.length > 0 && !calls.every(isGoodCall))) return null;
  const finishReason = delta.finish_reason ?? null;
  if (finishReason !== null && typeof finishReason !== 'string') return null;
  const used = delta.usage ?? null;
  if (used !== null && !(isFields(used) && isGoodUsage(used))) return null;
  return {
    content,
    toolCalls: calls,
    usage: used === null ? null : tokens(used.prompt_tokens as number, used.completion_tokens as number), // isGoodUsage saw both
    finishReason,
  };
}

/** A raw number is an object too, of one key. */
function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !('rawJSON' in value);
}

function isIndex(value: unknown): boolean {
  return value === undefined || value === null || Number.isSafeInteger(value);
}

function isText(value: unknown): boolean {
  return value === undefined || value === null || typeof value === 'string';
}

function isGoodCall(call: unknown): call is RawToolCall {
  if (!isFields(call) || !isFields(call.function) || !isText(call.type)) return false;
  const { name, arguments: args } = call.function;
  return typeof name === 'string' && typeof args === 'string';
}

function isGoodUsage(value: Fields): boolean {
  for (const key of PRICES) {
    const price = value[key];
    if (!(typeof price === 'string' ? PLAIN_DECIMAL.test(price) : Number.isFinite(price))) return false;
  }
  return (
    value.time_to_first_token === undefined &&
    value.time_to_generate === undefined &&
    Number.isSafeInteger(value.prompt_tokens) &&
    Number.isSafeInteger(value.completion_tokens) &&
    Number.isSafeInteger(value.total_tokens) &&
    typeof value.currency === 'string' &&
    typeof value.latency === 'number'
  );
}

/** Nearly every price; others are the schema's to judge. */
const PLAIN_DECIMAL = /^\d+(?:\.\d+)?$/;

const PRICES = [
  'prompt_unit_price',
  'prompt_price_unit',
  'prompt_price',
  'completion_unit_price',
  'completion_price_unit',
  'completion_price',
  'total_price',
] as const;

function tokens(prompt: JsonNumber, completion: JsonNumber) {
  return { inputTokens: toNumber(prompt), outputTokens: toNumber(completion) };
}
