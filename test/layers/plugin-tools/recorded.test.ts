// Every plugin tool call of the recorded traces, replayed against the fake daemon: arguments, request and observation must
// be the recorded ones. What is better on purpose (spec README) is listed here with what we say instead.

import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import type { FunctionTool } from '../../../src/agent/tools.ts';
import { isJsonObject, type JsonObject, type JsonValue } from '../../../src/base/json.ts';
import { CompositionError } from '../../../src/compositor/errors.ts';
import type { PluginDaemonSettings } from '../../../src/config/settings.ts';
import { parseJson, stringifyJson } from '../../../src/wiretext/json.ts';
import { loadScenarios, type Scenario, type Step } from '../../conformance/fixtures.ts';
import { type FakeDaemon, type RecordedRequest, startFakeDaemon } from '../../fakes/plugin-daemon.ts';
import { clientFor, quiet } from '../../peers/plugin-daemon/kit.ts';
import { type JsonNode, member, textOf } from '../../support/json-nodes.ts';
import type { Composition } from '../fixtures.ts';
import { toolsOf } from './kit.ts';

/** The observations, in call order, instead of the recorded end of the run or the recorded observation. */
const OURS: Readonly<Record<string, readonly string[]>> = {
  llm_error_pool_timeout: ['s', 'tool invoke error: PoolTimeout'],
  tool_daemon_down: ['tool invoke error: All connection attempts failed'],
  tool_error_cut_before_headers: ['tool invoke error: Server disconnected without sending a response.'],
  tool_error_read_timeout: ['tool invoke error: ReadTimeout'],
  tool_result_unknown_type: [''],
};
/** What the reference's server was started with. */
const SETTINGS: Readonly<Record<string, Partial<PluginDaemonSettings>>> = {
  llm_error_pool_timeout: { maxConnections: 1, poolTimeoutSeconds: 0.2 },
  tool_error_read_timeout: { readTimeoutSeconds: 0.2 },
};
/** Their tools cannot be built; the text is the recorded one. */
const REFUSED = ['tool_missing_runtime_parameter'];

interface Called {
  readonly name: string;
  readonly args: string;
  readonly valid: boolean;
  /** The recorded answer, or null when the run ended before it. */
  readonly answer: JsonValue | null;
}

let daemon: FakeDaemon;
beforeAll(async () => {
  daemon = await startFakeDaemon();
});
afterAll(() => daemon.stop());

const scenarios = loadScenarios().filter(({ steps }) =>
  steps.some(({ request }) => toolLayers(parse(request)).length > 0),
);

test('there is something to replay', () => {
  expect(scenarios.length).toBeGreaterThan(40);
});

describe('recorded', () => {
  test.each(scenarios.map((scenario) => [scenario.name, scenario] as const))('%s', async (name, scenario) => {
    if (REFUSED.includes(name)) return expectRefusal(scenario);
    for (const step of scenario.steps) await replay(name, step);
  });
});

function expectRefusal({ steps: [step] }: Scenario): void {
  if (step === undefined) throw new Error('no step');
  const recorded = textOf(member(step.status, 'error'));
  const build = () => toolsOf(compositionOf(step), clientFor(daemon.url));
  expect(build).toThrow(CompositionError);
  expect(build).toThrow(new Error(recorded));
}

async function replay(name: string, step: Step): Promise<void> {
  const client = clientFor(daemon.url, SETTINGS[name] ?? {});
  const tools = toolsOf(compositionOf(step), client);
  daemon.play(name === 'tool_daemon_down' ? { down: true } : step.script);
  for (const calls of roundsIn(step)) {
    const known = calls.filter((call) => tools.some(({ definition }) => definition.name === call.name));
    const answers = await Promise.all(known.map((call) => answer(tools, call)));
    expect<unknown>(answers).toEqual(OURS[name] ?? known.map((call) => call.answer));
  }
  expect(daemon.violations).toEqual([]);
  // Side by side, two requests may overtake each other.
  expect(daemon.toolRequests.map(sent).sort()).toEqual(step.toolRequests.map(recordedRequest).sort());
  client.close();
}

function sent({ headers, bodyText }: RecordedRequest): string {
  return [headers['x-plugin-id'], headers['content-length'], bodyText].join('\n');
}

function recordedRequest(node: JsonNode): string {
  const { headers, body } = objectOf(parse(node.source));
  const { 'x-plugin-id': plugin, 'content-length': length } = objectOf(headers);
  return [plugin, length, stringifyJson(body)].join('\n');
}

/** What becomes of a call: the observation, or what the model is told about its arguments. */
async function answer(tools: readonly FunctionTool[], call: Called): Promise<unknown> {
  const tool = tools.find(({ definition }) => definition.name === call.name);
  if (tool === undefined) throw new Error('no such tool');
  const checked = tool.validate(call.args);
  expect(checked.ok).toBe(call.valid);
  return checked.ok ? await tool.call(checked.value, quiet()) : checked.retry;
}

/** Calls by response, in the order in which they were announced, with their answers. A replayed old call has no validity. */
function roundsIn(step: Step): readonly (readonly Called[])[] {
  const events = step.events.map((event) => objectOf(objectOf(parse(event.source)).data));
  const answers = new Map<JsonValue | undefined, JsonValue>();
  for (const { event_kind, result } of events) {
    if (event_kind !== 'function_tool_result') continue;
    const { tool_call_id, content } = objectOf(result);
    if (content !== undefined) answers.set(tool_call_id, content);
  }
  const rounds: Called[][] = [];
  for (const { event_kind, part, args_valid } of events) {
    if (event_kind === 'part_start') rounds.push([]);
    if (event_kind !== 'function_tool_call' || typeof args_valid !== 'boolean') continue;
    const { tool_name, args, tool_call_id } = objectOf(part);
    const found = answers.get(tool_call_id) ?? null;
    if (!args_valid && found === null) continue;
    rounds.at(-1)?.push({ name: String(tool_name), args: String(args), valid: args_valid, answer: found });
  }
  return rounds.filter((calls) => calls.length > 0);
}

/** The tools layers of a request and what they depend on. */
function compositionOf(step: Step): Composition {
  const request = parse(step.request);
  const known = ['dify.execution_context', 'dify.plugin.tools'];
  const layers = layersOf(request).filter(({ type }) => known.includes(String(type)));
  return Object.fromEntries(
    layers.map(({ name, type, config, deps }) => [
      String(name),
      {
        type: String(type),
        config: config ?? null,
        deps: Object.fromEntries(Object.entries(objectOf(deps)).map(([key, target]) => [key, String(target)])),
      },
    ]),
  );
}

function toolLayers(request: JsonValue): readonly JsonObject[] {
  return layersOf(request).filter(({ type }) => type === 'dify.plugin.tools');
}

function layersOf(request: JsonValue): readonly JsonObject[] {
  const { layers } = objectOf(objectOf(request).composition);
  return Array.isArray(layers) ? layers.map(objectOf) : [];
}

function parse(text: string): JsonValue {
  const result = parseJson(text);
  if (!result.ok) throw new Error('a fixture is not JSON');
  return result.value;
}

function objectOf(value: JsonValue | undefined): JsonObject {
  return isJsonObject(value) ? value : {};
}
