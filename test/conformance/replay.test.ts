// Every recorded trace of what is built, replayed against the compiled binary: equal, or different on purpose exactly
// as expected-differences.ts says. Prints how many are which, and what the rest waits for.

import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { type FakeDaemon, type RecordedRequest, startFakeDaemon } from '../fakes/plugin-daemon.ts';
import { at, compact, items, type JsonNode, readJson, textOf } from '../support/json-nodes.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { waitsFor } from './coverage.ts';
import { EXPECTED_DIFFERENCES, type ExpectedDifference } from './expected-differences.ts';
import { loadScenarios, patchScenario, type Scenario } from './fixtures.ts';
import { playStep, replay } from './replay.ts';

/** Traces that were recorded with other settings (fixtures: their descriptions). */
const SETTINGS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  llm_error_pool_timeout: {
    DIFY_AGENT_PLUGIN_DAEMON_MAX_CONNECTIONS: '1',
    DIFY_AGENT_PLUGIN_DAEMON_POOL_TIMEOUT: '0.2',
  },
  tool_error_read_timeout: { DIFY_AGENT_PLUGIN_DAEMON_READ_TIMEOUT: '0.5' },
};
/** Played by exchanges.test.ts and shutdown.test.ts. */
const isPlayedElsewhere = (scenario: Scenario): boolean =>
  scenario.exchanges.length > 0 || scenario.name === 'shutdown_in_flight';

const scenarios = loadScenarios();
const covered = scenarios.filter((scenario) => waitsFor(scenario) === null && !isPlayedElsewhere(scenario));

let daemon: FakeDaemon;
const servers = new Map<string, Promise<TestServer>>();

/** One server per set of settings. */
function serverFor(name: string): Promise<TestServer> {
  const env = SETTINGS[name] ?? {};
  const key = JSON.stringify(env);
  const known = servers.get(key) ?? startServer({ env: { DIFY_AGENT_PLUGIN_DAEMON_URL: daemon.url, ...env } });
  servers.set(key, known);
  return known;
}

beforeAll(async () => {
  daemon = await startFakeDaemon();
  await serverFor('');
}, 180_000);

afterAll(async () => {
  for (const server of servers.values()) await (await server).dispose();
  await daemon.stop();
  console.log(summary());
});

/** Counts of what really held, not of what was meant to. */
const held = { equal: 0, different: 0 };

function summary(): string {
  const waiting = Object.entries(
    Object.groupBy(
      scenarios.flatMap((scenario) => waitsFor(scenario) ?? []),
      (found) => found.issue,
    ),
  ).map(([issue, found]) => `${found?.length} not covered yet (${issue})`);
  const elsewhere = scenarios.filter((scenario) => waitsFor(scenario) === null && isPlayedElsewhere(scenario)).length;
  return [
    `conformance: ${scenarios.length} traces`,
    `${held.equal} replayed equal`,
    `${held.different} different on purpose`,
    `${covered.length - held.equal - held.different} broken`,
    `${elsewhere} of HTTP and shutdown in their own files`,
    ...waiting,
  ].join(', ');
}

describe('the recorded traces', () => {
  for (const scenario of covered) {
    const difference = EXPECTED_DIFFERENCES[scenario.name];
    if (difference === undefined) {
      test(`${scenario.name}: as recorded (${scenario.description})`, async () => {
        const server = await serverFor(scenario.name);
        expect(await replay(scenario, server.url, daemon)).toEqual([]);
        held.equal += 1;
      }, 30_000);
    } else {
      test(`${scenario.name}: better on purpose: ${difference.reason} (spec ${difference.spec})`, async () => {
        await checkDifference(scenario, difference, await serverFor(scenario.name));
        held.different += 1;
      }, 30_000);
    }
  }

  test('every expected difference belongs to a trace that is replayed, and is one', () => {
    const names = covered.map((scenario) => scenario.name);
    expect(Object.keys(EXPECTED_DIFFERENCES).filter((name) => !names.includes(name))).toEqual([]);
  });
});

async function checkDifference(scenario: Scenario, difference: ExpectedDifference, server: TestServer): Promise<void> {
  const { ours } = difference;
  if (ours.kind === 'patched') {
    expect(await replay(patchScenario(scenario, ours.replace), server.url, daemon)).toEqual([]);
    return;
  }
  const step = scenario.steps.at(-1);
  if (step === undefined) throw new Error('a trace without a run');
  const played = await playStep(step, server.url, daemon, ours.replies);
  const data = at(played.events.at(-1), 'data');
  const text = (node: JsonNode | undefined) => (node === undefined ? undefined : compact(node));
  expect({
    eventKinds: played.eventKinds,
    status: textOf(at(played.status, 'status')),
    error: textOf(at(data, 'error')),
    recordError: textOf(at(played.status, 'error')),
    output: text(at(data, 'output')),
    requests: played.llmRequests.length,
    toolRequests: played.toolRequests.length,
    violations: played.violations,
    ...(ours.told === undefined ? {} : { told: toldIn(played.llmRequests.at(-1)) }),
    ...(ours.results === undefined ? {} : { results: resultsIn(played.events) }),
    ...(ours.schema === undefined ? {} : { schema: outputSchemaIn(played.llmRequests.at(-1)) }),
  }).toEqual({
    eventKinds: [...ours.eventKinds],
    status: ours.status,
    error: ours.error,
    recordError: ours.error,
    output: ours.output,
    requests: ours.llmRequests,
    toolRequests: ours.toolRequests ?? 0,
    violations: [],
    ...(ours.told === undefined ? {} : { told: [...ours.told] }),
    ...(ours.results === undefined ? {} : { results: [...ours.results] }),
    ...(ours.schema === undefined ? {} : { schema: ours.schema }),
  });
  if (ours.snapshot !== undefined) expect(text(at(data, 'session_snapshot'))).toBe(ours.snapshot);
}

/** The contents of the tool messages of a model request. */
function toldIn(request: RecordedRequest | undefined): readonly (string | undefined)[] {
  const messages = items(at(readJson(request?.bodyText ?? 'null'), 'data', 'prompt_messages'));
  return messages
    .filter((message) => textOf(at(message, 'role')) === 'tool')
    .map((message) => textOf(at(message, 'content')));
}

function resultsIn(events: readonly JsonNode[]): readonly (string | undefined)[] {
  return events
    .filter((event) => textOf(at(event, 'data', 'event_kind')) === 'function_tool_result')
    .map((event) => textOf(at(event, 'data', 'result', 'content')));
}

function outputSchemaIn(request: RecordedRequest | undefined): string | undefined {
  const parameters = at(readJson(request?.bodyText ?? 'null'), 'data', 'tools', -1, 'parameters');
  return parameters === undefined ? undefined : compact(parameters);
}
