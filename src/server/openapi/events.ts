// Schemas of the events that readers get, for the OpenAPI document only: nobody validates what we print ourselves.
// They describe the wire of the seed, or with the keys that came later (spec 01 §5, 06 §4); protocol/events.ts has the static types.

import {
  absent,
  any,
  bool,
  datetime,
  dict,
  type Field,
  int,
  json,
  literal,
  model,
  nullable,
  optional,
  required,
  ruleOf,
  type Schema,
  str,
  tagged,
  union,
} from '../../protocol/dialect.ts';
import { messageSchemas } from '../../protocol/messages.ts';
import { sessionSnapshot } from '../../protocol/runs.ts';

/** Stands for a default that is made anew each time (a time, an id): the document leaves it out. */
export const COMPUTED_DEFAULT = '\u0000computed';

const PART_KINDS = [
  'text',
  'thinking',
  'tool-call',
  'builtin-tool-call',
  'builtin-tool-return',
  'compaction',
  'file',
] as const;

/** The schema of one event of a page or stream, discriminated by `type`; `newerKeys`: with what came after the seed (spec 01 §5.1). */
export function runEventSchema(newerKeys: boolean): Schema {
  const open = { flavour: 'dataclass', extra: 'ignore' } as const;
  const parts = messageSchemas({ now: () => COMPUTED_DEFAULT, toolCallId: () => COMPUTED_DEFAULT });
  const { responsePart, requestPart } = parts;
  const toolCall = choiceOf(responsePart, 'tool-call');
  const nullString = () => optional(nullable(str()), null);
  const kind = <const K extends string>(value: K) => optional(literal(value), value);
  const partKind = optional(nullable(literal(...PART_KINDS)), null);
  const provider = { provider_name: nullString(), provider_details: optional(nullable(dict(any())), null) };

  const streamEvent = tagged('event_kind', {
    part_start: model(
      'PartStartEvent',
      {
        index: required(int()),
        part: required(responsePart),
        previous_part_kind: partKind,
        event_kind: kind('part_start'),
      },
      open,
    ),
    part_delta: model(
      'PartDeltaEvent',
      {
        index: required(int()),
        delta: required(
          tagged('part_delta_kind', {
            text: model(
              'TextPartDelta',
              { content_delta: required(str()), ...provider, part_delta_kind: kind('text') },
              open,
            ),
            thinking: model(
              'ThinkingPartDelta',
              {
                content_delta: nullString(),
                signature_delta: nullString(),
                ...provider,
                part_delta_kind: kind('thinking'),
              },
              open,
            ),
          }),
        ),
        event_kind: kind('part_delta'),
      },
      open,
    ),
    part_end: model(
      'PartEndEvent',
      { index: required(int()), part: required(responsePart), next_part_kind: partKind, event_kind: kind('part_end') },
      open,
    ),
    final_result: model(
      'FinalResultEvent',
      {
        tool_name: required(nullable(str())),
        tool_call_id: required(nullable(str())),
        event_kind: kind('final_result'),
      },
      open,
    ),
    function_tool_call: model(
      'FunctionToolCallEvent',
      {
        part: required(toolCall),
        args_valid: optional(nullable(bool()), null),
        event_kind: kind('function_tool_call'),
      },
      open,
    ),
    function_tool_result: model(
      'FunctionToolResultEvent',
      {
        [newerKeys ? 'part' : 'result']: required(
          union({
            ToolReturnPart: choiceOf(requestPart, 'tool-return'),
            RetryPromptPart: choiceOf(requestPart, 'retry-prompt'),
          }),
        ),
        content: optional(nullable(any()), null),
        event_kind: kind('function_tool_result'),
      },
      open,
    ),
  });

  const usage = usageSchema();
  const remains = newerKeys
    ? { session_snapshot: optional(nullable(sessionSnapshot), null), usage: optional(nullable(usage), null) }
    : {};
  return tagged('type', {
    run_started: envelope('RunStartedEvent', 'run_started', model('EmptyRunEventData', {})),
    pydantic_ai_event: envelope(
      'PydanticAIStreamRunEvent',
      'pydantic_ai_event',
      streamEvent,
      newerKeys ? { agent_message_delta: nullString() } : {},
    ),
    run_succeeded: envelope(
      'RunSucceededEvent',
      'run_succeeded',
      succeededData(newerKeys ? { usage: absent(usage) } : {}),
    ),
    run_failed: envelope(
      'RunFailedEvent',
      'run_failed',
      model('RunFailedEventData', {
        error: required(str()),
        ...(newerKeys ? { error_type: nullString() } : {}),
        reason: nullString(),
        ...remains,
      }),
    ),
    run_cancelled: envelope(
      'RunCancelledEvent',
      'run_cancelled',
      model('RunCancelledEventData', { reason: nullString(), message: nullString(), ...remains }),
    ),
  });
}

/** Spec 01 §5.2: what is always there. Other implementations print prices and times as well. */
function usageSchema(): Schema {
  const count = () => required(int());
  const counts = { prompt_tokens: count(), completion_tokens: count(), total_tokens: count() };
  return model('AgentRunUsage', counts, { extra: 'ignore' });
}

type Fields = Readonly<Record<string, Field>>;

function succeededData(more: Fields): Schema {
  const call = model('DeferredToolCallPayload', {
    tool_call_id: required(str()),
    tool_name: required(str()),
    args: required(json()),
    metadata: optional(dict(json()), () => ({})),
  });
  return model(
    'RunSucceededEventData',
    { session_snapshot: required(sessionSnapshot), output: absent(json()), deferred_tool_call: absent(call), ...more },
    { description: 'Exactly one of `output` and `deferred_tool_call` is there.' },
  );
}

/** Every event: id, run, time, type, data and what may follow, in print order. */
function envelope(name: string, type: string, data: Schema, more: Fields = {}): Schema {
  return model(name, {
    id: required(str()),
    run_id: required(str()),
    created_at: required(datetime()),
    type: required(literal(type)),
    data: required(data),
    ...more,
  });
}

/** One member of a tagged union. */
function choiceOf(schema: Schema, tag: string): Schema {
  const rule = ruleOf(schema);
  const choice = rule.kind === 'tagged' ? rule.choices[tag] : undefined;
  if (choice === undefined) throw new Error(`no ${tag} in the union`);
  return choice;
}
