// The configuration of `test.scripted_llm`: what a model answers and what its tools return, call by call. Ours alone; the
// reference has no such layer.

import type { JsonValue } from '../base/json.ts';
import {
  absent,
  bool,
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
  /** Absent: `tool_call` when the turn calls a tool, else `stop`. */
  finish_reason: absent(nullable(literal('stop', 'length', 'content_filter', 'tool_call', 'error'))),
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

const toolResult = model(
  'ScriptedToolResult',
  {
    delay_ms: optional(nullable(int({ ge: 0, le: MAX_DELAY_MS })), null),
    /** What the tool returns. Absent: its arguments. */
    content: absent(json()),
    /** Asks the model to try again with this hint. */
    retry: optional(nullable(str({ minLength: 1 })), null),
    /** Ends the run with this text. */
    error: optional(nullable(str({ minLength: 1 })), null),
  },
  {
    check: (result) => {
      const ends = [result.retry !== null, result.error !== null, 'content' in result].filter(Boolean).length;
      return ends > 1 ? 'A result takes one of content, retry and error.' : null;
    },
  },
);
/** What one call of a scripted tool comes to. */
export type ScriptedToolResult = Out<typeof toolResult>;

const tool = model('ScriptedTool', {
  name: required(str({ minLength: 1 })),
  description: optional(str(), ''),
  parameters: optional(dict(json()), () => ({ type: 'object', properties: {} })),
  /** Calls of a response that contains a sequential one run one by one. */
  sequential: optional(bool(), false),
  /** Call k of a run gets result k; the last one repeats. None: the tool returns its arguments. */
  results: optional(list(toolResult), () => []),
});
/** A tool that answers from the script. */
export type ScriptedTool = Out<typeof tool>;

/** Validates the config of `test.scripted_llm`. */
export const scriptedConfig = model('ScriptedLLMLayerConfig', {
  model: optional(str({ minLength: 1 }), 'scripted'),
  turns: required(list(turn)),
  tools: optional(list(tool), () => []),
});
/** The validated config: turn k answers model call k of a run. */
export type ScriptedConfig = Out<typeof scriptedConfig>;
