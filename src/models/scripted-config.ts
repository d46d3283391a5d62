// The configuration of `test.scripted_llm`: what a model answers, call by call. Ours alone; the reference has no such layer.

import type { JsonValue } from '../base/json.ts';
import {
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
  str,
  union,
} from '../protocol/dialect.ts';

/** Ten minutes: longer than any test waits, short enough for a timer. */
const MAX_DELAY_MS = 600_000;
const MAX_REPEAT = 1_000_000;

const toolCall = model('ScriptedToolCall', {
  id: required(str()),
  name: required(str()),
  /** JSON text goes out as it is, so that a script can send bad JSON; an object is printed. */
  arguments: optional<string | Readonly<Record<string, JsonValue>>>(union({ str: str(), dict: dict(json()) }), '{}'),
});

const item = model(
  'ScriptedItem',
  {
    /** Waits before the content, or alone. With `repeat`, before each chunk. */
    delay_ms: optional(nullable(int({ ge: 0, le: MAX_DELAY_MS })), null),
    text: optional(nullable(str()), null),
    thinking: optional(nullable(str()), null),
    tool_call: optional(nullable(toolCall), null),
    /** Sends the text or thinking this many times, each as a chunk of its own. */
    repeat: optional(int({ ge: 1, le: MAX_REPEAT }), 1),
  },
  {
    check: ({ delay_ms, text, thinking, tool_call, repeat }) => {
      const contents = [text, thinking, tool_call].filter((content) => content !== null).length;
      if (contents > 1) return 'An item takes one of text, thinking and tool_call.';
      if (contents === 0 && delay_ms === null) return 'An item needs text, thinking, tool_call or delay_ms.';
      return repeat !== 1 && text === null && thinking === null ? 'Only text and thinking can repeat.' : null;
    },
  },
);
/** One step of a turn: wait, say, think or call. */
export type ScriptedItem = Out<typeof item>;

const turn = model('ScriptedTurn', {
  items: optional(list(item), () => []),
  finish_reason: optional(nullable(literal('stop', 'length', 'content_filter', 'tool_call', 'error')), 'stop' as const),
  usage: optional(
    nullable(
      model('ScriptedUsage', {
        prompt_tokens: required(int({ ge: 0 })),
        completion_tokens: required(int({ ge: 0 })),
      }),
    ),
    null,
  ),
  /** After the items the call fails with this text, instead of usage and finish. */
  error: optional(nullable(str({ minLength: 1 })), null),
});
/** The answer to one model call. */
export type ScriptedTurn = Out<typeof turn>;

/** Validates the config of `test.scripted_llm`. */
export const scriptedConfig = model('ScriptedLLMLayerConfig', {
  model: optional(str({ minLength: 1 }), 'scripted'),
  turns: required(list(turn)),
});
/** The validated config: turn k answers model call k of a run. */
export type ScriptedConfig = Out<typeof scriptedConfig>;
