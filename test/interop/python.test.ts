// A Python process and this server on one Redis and prefix, as during a migration: each reads what the other writes
// (spec 01 §6). The Python side is Debian's python3-redis with the reference's commands (reference_store.py).

import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test';
import { newRunId } from '../../src/base/ids.ts';
import { type RedisProcess, startRedis } from '../support/redis-process.ts';
import { createRun, FOREVER, finish, get, runStatus, runToEnd, scripted } from '../support/runs.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { openSse, readSse } from '../support/sse.ts';
import { until, within } from '../support/until.ts';
import { type PythonRecord, type PythonStore, startPython } from './python.ts';

const PREFIX = 'dify-agent';
const TTL = 5_000;

let redis: RedisProcess;
let server: TestServer;
let python: PythonStore;

beforeAll(async () => {
  redis = await startRedis();
  server = await startServer({
    env: { DIFY_AGENT_STORE_URL: redis.url, DIFY_AGENT_RUN_RETENTION_SECONDS: String(TTL) },
  });
  python = startPython(redis.url, PREFIX, TTL);
}, 180_000);

afterAll(async () => {
  await python?.dispose();
  await server?.dispose();
  await redis?.dispose();
});

let runId = '';
const CREATED = '2026-06-02T08:15:30.204117Z';

beforeEach(() => {
  runId = newRunId();
});

const record = (status = 'running'): PythonRecord => ({
  run_id: runId,
  status,
  created_at: CREATED,
  updated_at: '2026-06-02T08:15:30.204131Z',
  error: null,
});
const event = (type: string, data: object, createdAt = '2026-06-02T08:15:30.209551Z') => ({
  run_id: runId,
  created_at: createdAt,
  type,
  data,
});
const delta = (text: string) =>
  event('pydantic_ai_event', {
    index: 0,
    delta: { content_delta: text, provider_name: null, provider_details: null, part_delta_kind: 'text' },
    event_kind: 'part_delta',
  });
const success = () =>
  event('run_succeeded', { session_snapshot: { schema_version: 1, layers: [] }, output: 'Grüße, "Oslo" 🙂' });

/** A page through our server. */
async function page(query = ''): Promise<{ events: { id: string; type: string }[]; next_cursor: string }> {
  const { status, text } = await get(`${server.url}/runs/${runId}/events${query}`);
  expect([status, text.slice(0, 200)]).toEqual([200, text.slice(0, 200)]);
  return JSON.parse(text);
}

const status = async () => JSON.parse((await get(`${server.url}/runs/${runId}`)).text);

describe("a Python process's runs through our server", () => {
  test('status, pages and stream of a finished run are what Python wrote, with the id in front', async () => {
    await python.create(record());
    const payloads = [event('run_started', {}), delta('Grüße\u2028'), delta('</b>\\"'), success()];
    const ids: string[] = [];
    for (const payload of payloads) ids.push(await python.append(runId, payload));
    await python.status(runId, 'succeeded', '2026-06-02T08:15:31.000001Z');

    expect((await get(`${server.url}/runs/${runId}`)).text).toBe(
      JSON.stringify({ ...record('succeeded'), updated_at: '2026-06-02T08:15:31.000001Z' }),
    );
    const expected = payloads.map((payload, index) => ({ id: ids[index], ...payload }));
    expect(await page()).toMatchObject({ events: expected, next_cursor: ids.at(-1) });
    const { frames } = await readSse(server.url, runId);
    expect(frames.map(({ data }) => JSON.parse(data))).toEqual(expected);
    expect(frames[1]?.data).toBe(
      `{"id":"${ids[1]}",${JSON.stringify(payloads[1]).slice(1).replace('\u2028', '\\u2028')}`,
    );
  });

  test('a stream follows a run that Python is still writing, and ends at its terminal event, before its status', async () => {
    await python.create(record());
    await python.append(runId, event('run_started', {}));
    const { frames } = await openSse(server.url, runId);
    const next = async () => (await within('an event', frames.next())).value;
    expect((await next())?.event).toBe('run_started');
    for (const text of ['a', 'b', 'c']) {
      const id = await python.append(runId, delta(text));
      expect((await next())?.id).toBe(id);
    }
    await python.append(runId, success());
    expect((await next())?.event).toBe('run_succeeded');
    expect(await within('the end', frames.next())).toEqual({ done: true, value: undefined });
    // The reference writes the status in a second step; until then, and after it, every reader sees a whole run.
    expect((await status()).status).toBe('running');
    expect((await readSse(server.url, runId)).frames).toHaveLength(5);
    await python.status(runId, 'succeeded', '2026-06-02T08:15:31Z');
    expect((await status()).status).toBe('succeeded');
  });

  test('a run that has no stream yet is empty, and its stream waits for the first event', async () => {
    await python.create(record());
    expect(await page()).toMatchObject({ events: [], next_cursor: '0-0' });
    const reading = readSse(server.url, runId);
    await python.append(runId, event('run_started', {}));
    await python.append(runId, event('run_failed', { error: 'no', reason: null }));
    expect((await within('the stream', reading)).frames.map((frame) => frame.event)).toEqual([
      'run_started',
      'run_failed',
    ]);
  });

  test('the later vintage: atomic end, a record from cjson, keys that ours does not have', async () => {
    await python.create(record());
    await python.append(runId, { ...delta('x'), agent_message_delta: 'x' });
    const failure = {
      ...event('run_failed', { error: 'a/b is gone', reason: 'quota' }),
    };
    const [applied] = await python.finalise(runId, {
      status: 'failed',
      updated_at: '2026-06-02T08:15:32.123456+00:00',
      payload: failure,
      error: 'a/b is gone',
      error_type: 'QuotaError',
    });
    expect(applied).toBe(1);
    // What the test is about is really there.
    expect(await python.recordText(runId)).toContain('a\\/b is gone');
    expect((await get(`${server.url}/runs/${runId}`)).text).toBe(
      `{"run_id":"${runId}","status":"failed","created_at":"${CREATED}","updated_at":"2026-06-02T08:15:32.123456Z","error":"a/b is gone"}`,
    );
    const { events } = await page();
    expect(events.map(({ type }) => type)).toEqual(['pydantic_ai_event', 'run_failed']);
    const reading = await within('the stream', readSseLoosely());
    expect(reading).toContain('event: run_failed');
  });

  test('payloads in another order, with other times, escapes and newer keys are put right', async () => {
    await python.create(record());
    const texts = [
      `{"type":"run_started","data":{},"run_id":"${runId}","created_at":"2026-06-02T08:15:30.209551+00:00"}`,
      `{ "run_id": "${runId}", "created_at": "2026-06-02T10:15:30.5+02:00", "type": "run_started", "data": {} }`,
      `{"later":[1,{}],"run_id":"${runId}","created_at":"2026-06-02T08:15:30Z","type":"run_failed","data":{"error":"\\u00e4 \\/ \u0085","reason":null}}`,
    ];
    for (const text of texts) await python.append(runId, text);
    const stream = await readSseLoosely();
    const events = [...stream.matchAll(/^data: (.*)$/gm)].map(([, data = '']) => JSON.parse(data));
    expect(events.map((found) => Object.keys(found).join())).toEqual(texts.map(() => 'id,run_id,created_at,type,data'));
    expect(events.map((found) => Date.parse(found.created_at))).toEqual([
      Date.parse('2026-06-02T08:15:30.209551Z'),
      Date.parse('2026-06-02T08:15:30.5Z'),
      Date.parse('2026-06-02T08:15:30Z'),
    ]);
    expect(events[2].data.error).toBe('ä / \u0085');
    expect(stream).not.toContain('\u0085');
    expect((await page()).events.map((found) => JSON.stringify(found))).toEqual(
      events.map((found) => JSON.stringify(found)),
    );
  });

  test('corrupt entries and unknown event types are skipped and logged, never a 500, and cursors pass them', async () => {
    await python.create(record());
    const first = await python.append(runId, event('run_started', {}));
    const bad = [
      await python.rawEntry(runId, { payload: '{"run_id":' }),
      await python.rawEntry(runId, { payload: '[]' }),
      await python.rawEntry(runId, { payload: '' }),
      await python.rawEntry(runId, { other: 'field' }),
      await python.append(runId, event('run_teleported', { to: 'Oslo' })),
      await python.append(runId, JSON.stringify({ ...event('run_started', {}), data: 5 })),
    ];
    const last = await python.append(runId, success());
    expect((await page()).events.map(({ id }) => id)).toEqual([first, last]);
    // A page of nothing but corrupt entries moves on.
    let cursor = first;
    for (let pages = 0; pages < bad.length && cursor !== bad.at(-1); pages += 1) {
      const found = await page(`?limit=1&after=${cursor}`);
      expect(found.events).toEqual([]);
      expect(found.next_cursor).not.toBe(cursor);
      cursor = found.next_cursor;
    }
    expect((await page(`?limit=1&after=${cursor}`)).events.map(({ id }) => id)).toEqual([last]);
    expect((await readSse(server.url, runId)).frames.map(({ id }) => id)).toEqual([first, last]);
    await until('the log', () => bad.every((id) => server.stderrLines.some((line) => line.includes(id))));
  });

  test('a live stream passes corrupt entries too', async () => {
    await python.create(record());
    await python.append(runId, event('run_started', {}));
    const { frames } = await openSse(server.url, runId);
    expect((await frames.next()).value?.event).toBe('run_started');
    await python.rawEntry(runId, { payload: 'not json' });
    await python.rawEntry(runId, { nothing: 'here' });
    await python.append(runId, event('run_teleported', {}));
    const id = await python.append(runId, delta('after'));
    expect((await within('the event after them', frames.next())).value?.id).toBe(id);
    await python.append(runId, success());
    expect((await within('the terminal event', frames.next())).value?.event).toBe('run_succeeded');
  });

  test('a record that cannot be read is no 500', async () => {
    for (const text of ['{', '[]', JSON.stringify({ ...record(), status: 'paused' })]) {
      await python.rawRecord(runId, text);
      for (const path of ['', '/events', '/events/sse']) {
        const answer = await get(`${server.url}/runs/${runId}${path}`);
        expect([text, path, answer.status]).not.toEqual([text, path, 500]);
      }
    }
  });

  test('events that outlived their record are unreachable', async () => {
    await python.create(record());
    await python.append(runId, event('run_started', {}));
    await python.forgetRecord(runId);
    expect((await get(`${server.url}/runs/${runId}`)).status).toBe(404);
    expect((await get(`${server.url}/runs/${runId}/events`)).status).toBe(404);
  });

  test('reading changes nothing: no field, no TTL', async () => {
    await python.create(record());
    await python.append(runId, event('run_started', {}));
    await redis.admin(async (client) => {
      for (const key of ['record', 'events']) await client.expire(`${PREFIX}:runs:${runId}:${key}`, 100);
    });
    const before = await python.recordText(runId);
    await status();
    await page();
    const hangUp = new AbortController();
    const { frames } = await openSse(server.url, runId, { signal: hangUp.signal });
    await frames.next();
    hangUp.abort();
    expect(await python.recordText(runId)).toBe(before);
    for (const ttl of await python.ttls(runId)) expect(ttl).toBeLessThanOrEqual(100);
  });

  test("a server that starts or stops does not end Python's runs", async () => {
    await python.create(record());
    await python.append(runId, event('run_started', {}));
    const text = await python.recordText(runId);
    const other = await startServer({ env: { DIFY_AGENT_STORE_URL: redis.url } });
    await other.stop();
    await other.dispose();
    const killed = await startServer({ env: { DIFY_AGENT_STORE_URL: redis.url } });
    killed.kill('SIGKILL');
    await killed.dispose();
    const after = await startServer({ env: { DIFY_AGENT_STORE_URL: redis.url } });
    try {
      expect(await python.recordText(runId)).toBe(text);
      expect((await runStatus(after.url, runId)).status).toBe('running');
      expect(await python.readEvents(runId)).toHaveLength(1);
    } finally {
      await after.dispose();
    }
  }, 60_000);
});

describe('our runs as a Python process reads them', () => {
  test('record, payloads without id, events, TTLs and key names are as the reference keeps them', async () => {
    const run = await runToEnd(
      server.url,
      scripted([[{ text: 'Grüße \u2028 🙂' }, { text: '"x"' }]], { history: true }),
    );
    const kept = await python.getRecord(run.runId);
    expect(JSON.stringify(kept)).toBe(JSON.stringify(run.status));
    expect(await python.recordText(run.runId)).toBe(JSON.stringify(run.status));
    const payloads = await python.payloadTexts(run.runId);
    expect(payloads.map((payload, index) => `{"id":"${run.frames[index]?.id}",${payload.slice(1)}`)).toEqual(
      run.frames.map(({ data }) => data),
    );
    for (const payload of payloads) {
      expect(Object.keys(JSON.parse(payload)).join()).toBe('run_id,created_at,type,data');
    }
    const events = await python.readEvents(run.runId);
    expect(events.map((found) => JSON.stringify(found))).toEqual(
      run.frames.map(({ data }) => JSON.stringify(JSON.parse(data))),
    );
    for (const ttl of await python.ttls(run.runId)) {
      expect(ttl).toBeGreaterThan(TTL - 60);
      expect(ttl).toBeLessThanOrEqual(TTL);
    }
  });

  test('it pages with its own cursors and follows a run live to its end', async () => {
    const running = await createRun(server.url, scripted([[{ text: 'x', delay_ms: 2, repeat: 120 }]]));
    const followed = await python.follow(running);
    const { frames } = await finish(server.url, running);
    expect(followed.map(({ id }) => id)).toEqual(frames.map(({ id }) => id));
    const third = frames[2]?.id ?? '';
    expect((await python.readEvents(running, third, 5)).map(({ id }) => id)).toEqual(
      frames.slice(3, 8).map(({ id }) => id),
    );
  });

  test('a running run has both TTLs from its first event on, and a failed one its error', async () => {
    const running = await createRun(server.url, scripted([[{ text: 'a' }, FOREVER]]));
    await until('an event', async () => (await python.readEvents(running)).length > 0);
    expect(await python.getRecord(running)).toMatchObject({ status: 'running', error: null });
    for (const ttl of await python.ttls(running)) expect(ttl).toBeGreaterThan(TTL - 60);
    const failed = await runToEnd(server.url, {
      composition: { layers: [{ name: 'x', type: 'no.such.type' }] },
    });
    expect(await python.getRecord(failed.runId)).toMatchObject({ status: 'failed', error: failed.terminal.error });
  });

  test("the later reference's end is refused once ours is there, and ours once it was first", async () => {
    const end = { status: 'failed', updated_at: '2026-06-02T08:15:32+00:00', payload: success(), error: 'theirs' };
    const finished = await runToEnd(server.url, scripted([[{ text: 'a' }]]));
    expect(await python.finalise(finished.runId, end)).toEqual([0, 'succeeded', '']);

    const running = await createRun(server.url, scripted([[{ text: 'a' }, { delay_ms: 400, text: 'b' }]]));
    await until('the text', async () => (await python.readEvents(running)).length >= 3);
    const payload = { ...event('run_failed', { error: 'theirs', reason: null }), run_id: running };
    const [applied, , id] = await python.finalise(running, { ...end, payload });
    expect(applied).toBe(1);
    const ended = await within('the stream', finish(server.url, running));
    expect(ended.frames.at(-1)?.id).toBe(id);
    expect(ended.status).toMatchObject({ status: 'failed', error: 'theirs' });
    // Whatever the run does now, it adds nothing.
    await until('the run to notice', () => server.stderrLines.some((line) => line.includes(running)));
    expect((await python.readEvents(running)).at(-1)?.id).toBe(id);
  });

  test('every key of ours is one of the reference or lies under x:', async () => {
    const keys = await python.keys();
    expect(keys.length).toBeGreaterThan(0);
    const pattern = /^dify-agent:(runs:[0-9a-f-]{36}:(record|events)|x:.+)$/;
    expect(keys.filter((key) => !pattern.test(key))).toEqual([]);
  });
});

/** The stream as text, for events that the seed's strict client would refuse. */
async function readSseLoosely(): Promise<string> {
  return (await get(`${server.url}/runs/${runId}/events/sse`)).text;
}
