// One suite against two servers: the reference as it was recorded, and our binary with the daemon's part played from the same
// recordings. What a caller of the client sees must be the same, run by run, whichever server is behind it.

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'bun:test';
import { Client } from '../../src/client/client.ts';
import { DifyAgentHTTPError, DifyAgentNotFoundError, DifyAgentValidationError } from '../../src/client/errors.ts';
import { EMPTY_VIEW, foldEvent, openToolCalls } from '../../src/client/fold.ts';
import { type CreateRunRequest, isTerminal, type RunEvent } from '../../src/client/types.ts';
import { EXPECTED_DIFFERENCES } from '../conformance/expected-differences.ts';
import { loadScenario, loadScenarios, type Step } from '../conformance/fixtures.ts';
import { type FakeDaemon, startFakeDaemon } from '../fakes/plugin-daemon.ts';
import { at, textOf } from '../support/json-nodes.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { all, errorOf, ids } from './events.ts';
import { type RecordedServer, startRecordedServer } from './recorded-server.ts';

/** A server that plays recorded steps. */
interface Target {
  readonly url: () => string;
  play(step: Step): void;
}

let recorded: RecordedServer;
let daemon: FakeDaemon;
let ours: TestServer;

beforeAll(async () => {
  recorded = startRecordedServer();
  daemon = await startFakeDaemon();
  ours = await startServer({ env: { DIFY_AGENT_PLUGIN_DAEMON_URL: daemon.url } });
}, 180_000);

afterAll(async () => {
  await recorded.stop();
  await ours.dispose();
  await daemon.stop();
});

const TARGETS: Readonly<Record<string, Target>> = {
  'the recorded reference': { url: () => recorded.url, play: (step) => recorded.play(step) },
  'our binary': { url: () => ours.url, play: (step) => daemon.play(step.script) },
};

/** Recorded with other settings, or ended by a signal: test/conformance plays those. */
const ELSEWHERE = ['llm_error_pool_timeout', 'tool_error_read_timeout', 'shutdown_in_flight'];

/** Traces that differ on purpose are the reference's alone. */
const steps = loadScenarios()
  .flatMap(({ name, steps }) => steps.map((step, index) => ({ name: `${name} ${index + 1}`, scenario: name, step })))
  .filter(({ scenario }) => !ELSEWHERE.includes(scenario));

/** One of each sequence of events: what tells traces apart for a client. */
const kinds = [...new Map(steps.map((one) => [one.step.eventKinds.join(' '), one])).values()];

const kindOf = (event: RunEvent): string => (event.type === 'pydantic_ai_event' ? event.data.event_kind : event.type);

test('there are many kinds of traces', () => {
  expect(kinds.length).toBeGreaterThan(30);
});

describe.each(Object.entries(TARGETS))('%s', (name, target) => {
  const isOurs = name === 'our binary';
  // Ours takes its time for each run; the recording does not.
  const played = isOurs ? kinds.filter(({ scenario }) => EXPECTED_DIFFERENCES[scenario] === undefined) : steps;
  const client = () => new Client({ baseUrl: target.url() });

  test.each(played.map(({ name, step }) => [name, step] as const))('%s', async (_, step) => {
    target.play(step);
    const request = JSON.parse(step.request) as CreateRunRequest; // a recorded request is one
    const created = await client().createRun(request);
    expect(created).toEqual({ run_id: expect.any(String), status: 'running' });
    const { run_id: runId } = created;

    const events = await all(client().streamEvents(runId));
    expect(events.map(kindOf)).toEqual([...step.eventKinds]);
    expect(events.every((event) => event.run_id === runId)).toBe(true);
    const end = events.at(-1);
    if (end === undefined || !isTerminal(end)) throw new Error('no end');

    // The same events whichever way they are asked for.
    const pages: RunEvent[] = [];
    for (let after = '0-0'; ; ) {
      const page = await client().getEvents(runId, { after, limit: 3 });
      pages.push(...page.events);
      if (page.events.length < 3) break;
      after = page.next_cursor ?? after;
    }
    expect(pages).toEqual([...events]);
    const middle = events[Math.floor((events.length - 1) / 2)];
    const rest = events.length === 1 ? events : await all(client().streamEvents(runId, { after: middle?.id ?? '' }));
    expect(ids(rest)).toEqual(ids(events).slice(-rest.length));

    const status = await client().waitRun(runId);
    const view = events.reduce(foldEvent, EMPTY_VIEW);
    expect(status.status).toBe(view.status === 'running' ? 'failed' : view.status);
    expect<string | undefined>(status.status).toBe(textOf(at(step.status, 'status')));
    expect(status.error).toBe(end.type === 'run_failed' ? end.data.error : null);
    if (end.type === 'run_succeeded') {
      expect(view.output).toEqual(end.data.output as never); // undefined where there is a question
      expect(view.question).toEqual(end.data.deferred_tool_call as never); // undefined where there is an output
      expect(end.data.session_snapshot.layers.map((layer) => layer.name)).toEqual(
        request.composition.layers.map((layer) => layer.name),
      );
    }
    if (view.question === undefined && view.status === 'succeeded') expect(openToolCalls(view)).toEqual([]);
  });

  test('runs that nobody knows, and names that are none', async () => {
    const unknown = '00000000-0000-4000-8000-000000000000';
    for (const exchange of loadScenario('http_404_405').exchanges) {
      if (exchange.method === 'GET' && exchange.path.startsWith('/runs/')) recorded.exchange(exchange);
    }
    for (const [id, detail] of [
      [unknown, 'run not found'],
      [' ', 'run not found'],
      ['a bé', 'run not found'],
      ['some/thing', 'Not Found'],
    ] as const) {
      const error = await errorOf(client().getRun(id));
      expect(error).toBeInstanceOf(DifyAgentNotFoundError);
      expect(error).toMatchObject({ statusCode: 404, detail });
    }
    for (const call of [
      () => client().getEvents(unknown),
      () => client().waitRun(unknown),
      () => all(client().streamEvents(unknown)),
    ]) {
      expect(await errorOf(call())).toMatchObject({ name: 'DifyAgentNotFoundError', detail: 'run not found' });
    }
  });
});

describe('the recorded exchanges', () => {
  let server: RecordedServer;
  beforeEach(() => {
    server = startRecordedServer();
  });
  afterEach(() => server.stop());
  const base = () => new Client({ baseUrl: server.url });

  test('a run as it was looked at: succeeded, failed, running, its events', async () => {
    const { exchanges } = loadScenario('http_status_shapes');
    for (const exchange of exchanges) {
      server.exchange(exchange);
      const runId = exchange.path.split('/')[2] ?? '';
      const body: unknown = JSON.parse(exchange.responseBody.source);
      if (exchange.method === 'GET' && exchange.path.endsWith('/events')) {
        server.exchange({ ...exchange, path: `${exchange.path}?after=0-0&limit=100` });
        expect(await base().getEvents(runId)).toEqual(body as never); // that the client reads all of it is the test
      } else if (exchange.method === 'GET')
        expect(await base().getRun(runId)).toEqual(body as never); // as above
      else if (exchange.path === '/runs') {
        const request = JSON.parse(exchange.body ?? '') as CreateRunRequest; // recorded
        expect(await base().createRun(request)).toEqual(body as never); // as above
      } else {
        // The reference of that time could not cancel.
        const error = await errorOf(base().cancelRun(runId));
        expect((error as Error).constructor).toBe(DifyAgentHTTPError);
        expect(error).toMatchObject({ statusCode: 501, detail: 'run cancellation is not implemented' });
      }
    }
    expect(exchanges.length).toBeGreaterThan(7);
  });

  test('every recorded refusal has its class, and its detail as it came', async () => {
    const refusals = loadScenario('http_404_405').exchanges.filter(
      ({ method, status, responseHeaders }) =>
        status >= 400 && method !== 'HEAD' && responseHeaders['content-type'] === 'application/json',
    );
    expect(refusals.length).toBeGreaterThan(20);
    for (const exchange of refusals) {
      server.exchange({ ...exchange, method: 'GET', path: '/runs/refused' });
      const error = await errorOf(base().getRun('refused'));
      const { detail } = JSON.parse(exchange.responseBody.source) as { detail: unknown }; // every refusal has one
      expect(error).toMatchObject({ statusCode: exchange.status, detail });
      const expected =
        exchange.status === 404
          ? DifyAgentNotFoundError
          : exchange.status === 422
            ? DifyAgentValidationError
            : DifyAgentHTTPError;
      expect((error as Error).constructor).toBe(expected);
    }
  });

  test('a run that a shutdown ended', async () => {
    const [step] = loadScenario('shutdown_in_flight').steps;
    if (step === undefined) throw new Error('another trace');
    server.play(step);
    const end = await base().runToCompletion(JSON.parse(step.request) as CreateRunRequest); // recorded
    expect(end).toMatchObject({
      type: 'run_failed',
      data: { error: 'run cancelled during server shutdown', reason: 'shutdown' },
    });
    expect((await base().getRun(end.run_id)).error).toBe('run cancelled during server shutdown');
  });
});
