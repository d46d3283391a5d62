// Compositions with everything an agent can have, on the scripted model; and their events in the notation of spec 06 §14.

import { createRun, type FinishedRun, finish, type RunBody } from './runs.ts';
import type { SseFrame } from './sse.ts';

/** A step of the scripted model (src/models/scripted-config.ts). */
export interface AgentItem {
  readonly text?: string;
  readonly thinking?: string;
  readonly delay_ms?: number;
  readonly tool_call?: { readonly id: string; readonly name: string; readonly arguments?: unknown };
}

/** A turn: its items, or the items with how it ends. */
export type AgentTurn = readonly AgentItem[] | Readonly<Record<string, unknown>>;

/** What a composition has beside prompt and model. */
export interface AgentOptions {
  /** Scripted tools. */
  readonly tools?: readonly Readonly<Record<string, unknown>>[];
  /** Config of `dify.output`, or just its schema's properties (all required). */
  readonly output?: Readonly<Record<string, unknown>>;
  /** Config of `dify.ask_human`. */
  readonly ask?: Readonly<Record<string, unknown>>;
  readonly history?: boolean;
  readonly prompt?: string;
  readonly snapshot?: unknown;
  /** `deferred_tool_results.calls`. */
  readonly results?: Readonly<Record<string, unknown>>;
  readonly onExit?: unknown;
}

/** A call of a tool, as an item. Arguments may be JSON text, good or bad. */
export function call(id: string, name: string, args: unknown = {}): AgentItem {
  return { tool_call: { id, name, arguments: args } };
}

/** A request on the scripted model. */
export function agent(turns: readonly AgentTurn[], options: AgentOptions = {}): RunBody {
  const { tools = [], output, ask, history = false } = options;
  const scripted = turns.map((turn) => (Array.isArray(turn) ? { items: turn } : turn));
  return {
    composition: {
      layers: [
        { name: 'prompt', type: 'plain.prompt', config: { prefix: 'You are terse.', user: options.prompt ?? 'Go.' } },
        ...(history ? [{ name: 'history', type: 'pydantic_ai.history' }] : []),
        { name: 'llm', type: 'test.scripted_llm', config: { turns: scripted, tools } },
        ...(ask === undefined ? [] : [{ name: 'ask_human', type: 'dify.ask_human', config: ask }]),
        ...(output === undefined ? [] : [{ name: 'output', type: 'dify.output', config: output }]),
      ],
    },
    ...(options.snapshot === undefined ? {} : { session_snapshot: options.snapshot }),
    ...(options.results === undefined ? {} : { deferred_tool_results: { calls: options.results } }),
    ...(options.onExit === undefined ? {} : { on_exit: options.onExit }),
  };
}

/** The config of an output layer whose answer has these properties, all required. */
export function answerOf(properties: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  return {
    json_schema: { type: 'object', properties, required: Object.keys(properties), additionalProperties: false },
  };
}

/** A run and its events in short. */
export interface AgentRun extends FinishedRun {
  readonly kinds: readonly string[];
  /** Texts of the stored messages: `request:user-prompt`, `response:text+tool-call`, … */
  readonly stored: readonly string[];
  readonly error: string | undefined;
}

/** Posts and follows. */
export async function runAgent(baseUrl: string, body: RunBody | string): Promise<AgentRun> {
  const run = await finish(baseUrl, await createRun(baseUrl, body));
  return {
    ...run,
    kinds: run.frames.flatMap(shortKind),
    stored: storedMessages(run.terminal),
    error: run.terminal.error as string | undefined, // run_failed has it (spec 01 §5)
  };
}

interface Part {
  readonly part_kind?: string;
  readonly tool_name?: string;
}

interface StreamEvent {
  readonly event_kind: string;
  readonly part?: Part;
  readonly result?: Part;
  readonly args_valid?: boolean | null;
  readonly tool_name?: string | null;
}

/** `PS(text)`, `PD`, `PE(tool-call)`, `FR(final_output)`, `TC(true)`, `TR(retry-prompt)`; nothing for other events. */
function shortKind({ event, data }: SseFrame): readonly string[] {
  if (event !== 'pydantic_ai_event') return [];
  const { data: payload } = JSON.parse(data) as { readonly data: StreamEvent }; // checked by the reader
  switch (payload.event_kind) {
    case 'part_start':
      return [`PS(${payload.part?.part_kind})`];
    case 'part_delta':
      return ['PD'];
    case 'part_end':
      return [`PE(${payload.part?.part_kind})`];
    case 'final_result':
      return [payload.tool_name === null ? 'FR' : `FR(${payload.tool_name})`];
    case 'function_tool_call':
      return [`TC(${payload.args_valid})`];
    default:
      return [`TR(${payload.result?.part_kind})`];
  }
}

interface Stored {
  readonly kind: string;
  readonly parts: readonly Part[];
}

function storedMessages(terminal: Readonly<Record<string, unknown>>): readonly string[] {
  const snapshot = terminal.session_snapshot as
    | {
        readonly layers: readonly { readonly name: string; readonly runtime_state: { messages?: readonly Stored[] } }[];
      }
    | undefined; // spec 02 §6; absent on failures
  const history = snapshot?.layers.find(({ name }) => name === 'history')?.runtime_state.messages ?? [];
  return history.map(({ kind, parts }) => `${kind}:${parts.map((part) => part.part_kind).join('+')}`);
}
