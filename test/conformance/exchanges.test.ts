// The recorded plain HTTP exchanges, replayed against the compiled binary: status, the headers that are the wire, body.

import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { type FakeDaemon, lastItem, startFakeDaemon } from '../fakes/plugin-daemon.ts';
import { readJson } from '../support/json-nodes.ts';
import { createRun, finish, get, runToEnd } from '../support/runs.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { until } from '../support/until.ts';
import { Matcher } from './compare.ts';
import { EXPECTED_ANSWERS, EXPECTED_ANSWERS_BY_NOTE, type ExpectedAnswer } from './expected-differences.ts';
import { type Exchange, loadScenario } from './fixtures.ts';

/** Headers of an answer that spec 01 fixes. */
const WIRE_HEADERS = ['content-type', 'allow', 'location'];

let daemon: FakeDaemon;
let server: TestServer;

beforeAll(async () => {
  daemon = await startFakeDaemon();
  server = await startServer({ env: { DIFY_AGENT_PLUGIN_DAEMON_URL: daemon.url } });
}, 180_000);

afterAll(async () => {
  await server.dispose();
  await daemon.stop();
});

describe('http_404_405: every route, wrong routes, wrong methods', () => {
  for (const [index, exchange] of loadScenario('http_404_405').exchanges.entries()) {
    const line = `${exchange.method} ${exchange.path}`;
    const difference = EXPECTED_ANSWERS.find(([pattern]) => pattern.test(`${line} ${exchange.status}`))?.[1];
    const name = difference === undefined ? 'as recorded' : `different on purpose: ${difference.reason}`;
    test(`${index}: ${line} ${exchange.body ?? ''}: ${name}`, async () => {
      expect(await compareExchange(exchange, exchange.path, new Matcher(), difference)).toEqual([]);
    });
  }
});

describe('http_status_shapes: a run as it is looked at', () => {
  test('succeeded, failed, running, over: as recorded; cancelled: as 01 §7.4 says', async () => {
    const { exchanges } = loadScenario('http_status_shapes');
    const slow = exchanges.find((exchange) => exchange.note === 'slow run');
    const [succeeded, failed] = exchanges;
    if (slow?.body == null || succeeded === undefined || failed === undefined) throw new Error('another trace');
    const matcher = new Matcher();
    const ids = new Map<string, string>();
    const known = (exchange: Exchange, runId: string) => ids.set(exchange.path.split('/')[2] ?? '', runId);

    daemon.play({ llm: [['a', lastItem()]] });
    known(succeeded, (await runToEnd(server.url, slow.body)).runId);
    known(failed, (await runToEnd(server.url, loadScenario('blank_prompt').steps[0]?.request ?? '')).runId);
    daemon.play({ llm: [['a', { delay: 300 }, lastItem()]] });

    const differences: string[] = [];
    for (const exchange of exchanges) {
      const recordedId = exchange.path.split('/')[2];
      if (exchange.note === 'slow run') {
        const following = exchanges[exchanges.indexOf(exchange) + 1];
        if (following === undefined) throw new Error('another trace');
        known(following, await createRun(server.url, exchange.body ?? ''));
        continue;
      }
      // The recorded cancel did nothing: what is recorded after it is held to a run that nobody cancelled.
      const cancelled = exchange.note === 'cancel while running' ? await createRun(server.url, slow.body) : null;
      const runId = cancelled ?? ids.get(recordedId ?? '') ?? '';
      if (exchange.note === 'events while running') {
        await until('three events', async () =>
          (await get(`${server.url}/runs/${runId}/events`)).text.includes('final_result'),
        );
      }
      if (exchange.note === 'after') await finish(server.url, runId);
      const path = exchange.path.replace(recordedId ?? '', runId);
      const difference = answerByNote(exchange.note ?? '', runId);
      differences.push(
        ...(await compareExchange(exchange, path, matcher, difference)).map((found) => `${exchange.note}: ${found}`),
      );
      if (cancelled === null) continue;
      const { types, status } = await finish(server.url, cancelled);
      expect([types.at(-1), status.status, status.error]).toEqual(['run_cancelled', 'cancelled', null]);
    }
    expect(differences).toEqual([]);
  });

  test('every expected difference belongs to an exchange', () => {
    const notes = loadScenario('http_status_shapes').exchanges.map(({ note }) => note);
    expect(Object.keys(EXPECTED_ANSWERS_BY_NOTE).filter((note) => !notes.includes(note))).toEqual([]);
  });
});

function answerByNote(note: string, runId: string): ExpectedAnswer | undefined {
  const known = EXPECTED_ANSWERS_BY_NOTE[note];
  return known?.body === undefined ? known : { ...known, body: known.body.replace('{run}', runId) };
}

async function compareExchange(
  exchange: Exchange,
  path: string,
  matcher: Matcher,
  difference?: ExpectedAnswer,
): Promise<string[]> {
  matcher.sent += path;
  const response = await fetch(`${server.url}${path}`, {
    method: exchange.method,
    headers: exchange.headers,
    redirect: 'manual',
    proxy: false,
    ...(exchange.body === null ? {} : { body: exchange.body }),
  } as RequestInit);
  const text = await response.text();
  if (difference !== undefined) {
    const headers = Object.entries(difference.headers ?? {});
    return [
      ...(response.status === difference.status ? [] : [`status: ${difference.status} ≠ ${response.status}`]),
      ...(difference.body === undefined || difference.body === text ? [] : [`body: ${difference.body} ≠ ${text}`]),
      ...headers.flatMap(([name, value]) => (response.headers.get(name) === value ? [] : [`header ${name}`])),
    ];
  }
  const status = exchange.status === response.status ? [] : [`status: ${exchange.status} ≠ ${response.status} ${text}`];
  const headers = WIRE_HEADERS.flatMap((name) => {
    const recorded = exchange.responseHeaders[name] ?? '';
    return matcher.compareText(recorded, response.headers.get(name) ?? '', `header ${name}`);
  });
  return [...status, ...headers, ...compareBody(exchange, text, matcher)];
}

function compareBody(exchange: Exchange, text: string, matcher: Matcher): string[] {
  if (exchange.path === '/openapi.json') return []; // test/server compares the documents
  const recorded = exchange.responseBody;
  if (recorded.kind === 'string' && recorded.value.startsWith('<own wording')) return [];
  if (recorded.kind === 'string') return recorded.value === text ? [] : [`body: ${recorded.value} ≠ ${text}`];
  try {
    return matcher.compare(recorded, readJson(text), 'body');
  } catch (error) {
    return [`body is not JSON (${String(error)}): ${text.slice(0, 200)}`];
  }
}
