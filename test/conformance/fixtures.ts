// Reads the recorded traces of the reference (test/fixtures/reference; their README: /work/shared/fixtures) into
// scenarios: what was asked, what the daemon answered, what the reference then did. Knows nothing of our server.

import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { DaemonScript, Reply, ReplyItem } from '../fakes/plugin-daemon.ts';
import { ROOT } from '../support/binary.ts';
import { at, entries, items, type JsonNode, member, numberOf, readJson, textOf } from '../support/json-nodes.ts';

const FOLDER = join(ROOT, 'test/fixtures/reference');

/** One recorded run. */
export interface Step {
  /** The body of `POST /runs`, exact text. */
  readonly request: string;
  readonly script: DaemonScript;
  readonly llmRequests: readonly JsonNode[];
  readonly toolRequests: readonly JsonNode[];
  readonly create: JsonNode;
  readonly events: readonly JsonNode[];
  readonly eventKinds: readonly string[];
  readonly status: JsonNode;
  /** Empty when none were recorded. */
  readonly firstFrames: readonly string[];
}

/** One recorded HTTP exchange. */
export interface Exchange {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | null;
  readonly note: string | null;
  readonly status: number;
  readonly responseHeaders: Readonly<Record<string, string>>;
  readonly responseBody: JsonNode;
}

/** One trace. */
export interface Scenario {
  readonly name: string;
  readonly description: string;
  /** The whole file. */
  readonly node: JsonNode;
  /** Earlier runs of the conversation, then the run itself; empty for plain HTTP scenarios. */
  readonly steps: readonly Step[];
  readonly exchanges: readonly Exchange[];
}

/** All traces, by name. */
export function loadScenarios(): readonly Scenario[] {
  return readdirSync(FOLDER)
    .filter((file) => file.endsWith('.json'))
    .sort()
    .map((file) => loadScenario(basename(file, '.json')));
}

/** One trace. */
export function loadScenario(name: string): Scenario {
  return readScenario(name, readFileSync(join(FOLDER, `${name}.json`), 'utf8'));
}

/** The trace with texts of its events replaced; each must occur. */
export function patchScenario(
  scenario: Scenario,
  replace: readonly (readonly [recorded: string, ours: string])[],
): Scenario {
  let text = scenario.node.source;
  for (const [recorded, ours] of replace) {
    if (!text.includes(recorded)) throw new Error(`${scenario.name} does not contain ${recorded}`);
    text = text.replaceAll(recorded, ours);
  }
  return readScenario(scenario.name, text);
}

function readScenario(name: string, text: string): Scenario {
  const node = readJson(text);
  const isRun = member(node, 'request') !== undefined;
  return {
    name,
    description: textOf(member(node, 'description')) ?? '',
    node,
    steps: isRun ? [...items(member(node, 'prior_steps')), node].map(readStep) : [],
    exchanges: items(member(node, 'exchanges')).map(readExchange),
  };
}

function readStep(node: JsonNode): Step {
  const daemon = member(node, 'daemon');
  return {
    request: member(node, 'request')?.source ?? '',
    script: {
      llm: items(member(daemon, 'llm')).map(readReply),
      tool: readToolScript(daemon),
      down: member(daemon, 'down')?.source === 'true',
    },
    llmRequests: items(member(daemon, 'llm_requests')),
    toolRequests: items(member(daemon, 'tool_requests')),
    create: mustHave(node, 'create'),
    events: items(member(node, 'events')),
    eventKinds: items(member(node, 'event_kinds')).map((kind) => textOf(kind) ?? ''),
    status: mustHave(node, 'status'),
    firstFrames: items(member(node, 'sse_raw_first_frames')).map((frame) => textOf(frame) ?? ''),
  };
}

/** The recorder's fake repeated the last reply of a tool: as often as the trace has requests. */
function readToolScript(daemon: JsonNode | undefined): Readonly<Record<string, readonly Reply[]>> {
  const asked = items(member(daemon, 'tool_requests')).map((request) => textOf(at(request, 'body', 'data', 'tool')));
  return Object.fromEntries(
    entries(member(daemon, 'tool')).map(([name, node]) => {
      const replies = items(node).map(readReply);
      const missing = asked.filter((tool) => tool === name).length - replies.length;
      const last = replies.at(-1) ?? [];
      return [name, [...replies, ...Array.from({ length: Math.max(0, missing) }, () => last)]];
    }),
  );
}

function mustHave(node: JsonNode, key: string): JsonNode {
  const found = member(node, key);
  if (found === undefined) throw new Error(`the trace has no ${key}`);
  return found;
}

function readReply(reply: JsonNode): Reply {
  return items(reply).map(readItem);
}

/** Items whose numbers must keep their texts go out as text; the rest is the fake's own language. */
function readItem(item: JsonNode): ReplyItem {
  if (item.kind === 'string') return item.value;
  const data = member(item, 'data');
  if (data !== undefined) return { raw: `data: {"code":0,"message":"success","data":${goText(data)}}\n\n` };
  const frame = member(item, 'frame');
  if (frame !== undefined) return { raw: `data: ${goText(frame)}\n\n` };
  return JSON.parse(item.source) as ReplyItem; // the remaining kinds hold texts and small integers
}

/** Compact JSON as Go's encoder prints it, number texts kept. */
export function goText(node: JsonNode): string {
  switch (node.kind) {
    case 'object':
      return `{${node.entries.map(([key, value]) => `${goString(key)}:${goText(value)}`).join(',')}}`;
    case 'array':
      return `[${node.items.map(goText).join(',')}]`;
    case 'string':
      return goString(node.value);
    case 'number':
      return node.text;
    default:
      return node.source;
  }
}

function goString(value: string): string {
  return JSON.stringify(value).replace(
    /[<>&\u2028\u2029]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

function readExchange(node: JsonNode): Exchange {
  const headers = (owner: string) =>
    Object.fromEntries(entries(at(node, owner, 'headers')).map(([name, value]) => [name, textOf(value) ?? '']));
  return {
    method: textOf(at(node, 'request', 'method')) ?? '',
    path: textOf(at(node, 'request', 'path')) ?? '',
    headers: headers('request'),
    body: textOf(at(node, 'request', 'body')) ?? null,
    note: textOf(member(node, 'note')) ?? null,
    status: numberOf(at(node, 'response', 'status')) ?? 0,
    responseHeaders: headers('response'),
    responseBody: at(node, 'response', 'body') ?? readJson('null'),
  };
}
