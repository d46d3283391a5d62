// Two server processes on one Redis and prefix: a run of one is read through the other as if it were its own, live, with
// one connection for all its readers; and neither touches the other's runs.

import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { startFakeDaemon } from '../fakes/plugin-daemon.ts';
import { follow } from '../support/patient-client.ts';
import { type RedisProcess, startRedis } from '../support/redis-process.ts';
import { createRun, FOREVER, finish, get, plugin, runStatus, runToEnd, scripted } from '../support/runs.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { openSse, readSse, type SseFrame } from '../support/sse.ts';
import { until, within } from '../support/until.ts';

let redis: RedisProcess;
let a: TestServer;
let b: TestServer;

const env = (): Record<string, string> => ({ DIFY_AGENT_STORE_URL: redis.url, DIFY_AGENT_REDIS_PREFIX: 'two' });

beforeAll(async () => {
  redis = await startRedis();
  [a, b] = await Promise.all([startServer({ env: env() }), startServer({ env: env() })]);
}, 180_000);

afterAll(async () => {
  await a?.dispose();
  await b?.dispose();
  await redis?.dispose();
});

/** Connections that Redis has, without the one that asks. */
function connections(): Promise<number> {
  return redis.admin(async (client) => (await client.clientList()).length - 1);
}

const raw = (frames: readonly SseFrame[]) => frames.map((frame) => frame.raw).join('');

test('a finished run is the same through both: status, pages, stream', async () => {
  const run = await runToEnd(a.url, scripted([[{ text: 'x', repeat: 150 }]]));
  const other = await finish(b.url, run.runId);
  expect(raw(other.frames)).toBe(raw(run.frames));
  expect(other.status).toEqual(run.status);
  for (const query of ['', '?limit=7', `?after=${run.frames[100]?.id}`]) {
    const [ours, theirs] = await Promise.all(
      [a, b].map((server) => get(`${server.url}/runs/${run.runId}/events${query}`)),
    );
    expect(theirs).toEqual(ours ?? { status: 0, text: '' });
  }
});

test('a running run is streamed live through the other process', async () => {
  const runId = await createRun(a.url, scripted([[{ text: 'first' }, { text: 'x', delay_ms: 5, repeat: 100 }]]));
  const { frames } = await openSse(b.url, runId);
  const seen: SseFrame[] = [];
  let statusAtFirst = '';
  for await (const frame of frames) {
    if (seen.length === 0) statusAtFirst = (await runStatus(b.url, runId)).status;
    seen.push(frame);
  }
  expect(statusAtFirst).toBe('running');
  expect(raw(seen)).toBe(raw((await readSse(a.url, runId)).frames));
  expect(seen.at(-1)?.event).toBe('run_succeeded');
});

test('a model that streams through the daemon arrives event by event at the other process', async () => {
  const daemon = await startFakeDaemon();
  const fed = await startServer({
    env: { ...env(), DIFY_AGENT_PLUGIN_DAEMON_URL: daemon.url, DIFY_AGENT_SHUTDOWN_GRACE_SECONDS: '0' },
  });
  try {
    daemon.play({ llm: [['one ', { hang: true }]] });
    const runId = await createRun(fed.url, plugin());
    const { frames } = await openSse(b.url, runId);
    for (const kind of ['run_started', 'part_start', 'final_result']) {
      const { value } = await within(kind, frames.next());
      expect(value.data).toContain(kind);
    }
  } finally {
    await fed.dispose();
    await daemon.stop();
  }
}, 60_000);

describe('readers of a foreign run', () => {
  test('two hundred use as many connections as one, and all see the same', async () => {
    const runId = await createRun(a.url, scripted([[{ text: 'a' }, { delay_ms: 1_500, text: 'b' }]]));
    const one = follow(b.url, runId);
    await until('the tail', async () => (await get(`${b.url}/runs/${runId}/events`)).text.includes('final_result'));
    const withOne = await connections();
    const many = await Promise.all(Array.from({ length: 199 }, () => openSse(b.url, runId)));
    const readings = many.map(({ frames }) => Array.fromAsync(frames));
    expect(await connections()).toBe(withOne);
    const expected = raw((await one).frames);
    for (const frames of await Promise.all(readings)) expect(raw(frames)).toBe(expected);
  }, 60_000);

  test('of many runs share the connection too, and readers that leave are forgotten', async () => {
    const before = await connections();
    const runIds = await Promise.all(
      Array.from({ length: 20 }, () => createRun(a.url, scripted([[{ text: 'a' }, FOREVER]]))),
    );
    const hangUp = new AbortController();
    for (const runId of runIds) {
      const { frames } = await openSse(b.url, runId, { signal: hangUp.signal });
      await within('run_started', frames.next());
    }
    // The one tail, if there was none yet.
    expect(await connections()).toBeLessThanOrEqual(before + 1);
    hangUp.abort();
    const next = await createRun(a.url, scripted([[{ text: 'still tailed', delay_ms: 100 }]]));
    expect((await follow(b.url, next)).frames.at(-1)?.event).toBe('run_succeeded');
    await Promise.all(runIds.map(async (runId) => expect((await runStatus(b.url, runId)).status).toBe('running')));
  }, 60_000);
});

test('a process that starts or stops leaves the runs of the others alone', async () => {
  const runId = await createRun(a.url, scripted([[{ text: 'a' }, { delay_ms: 1_000, text: 'b' }]]));
  const third = await startServer({ env: env() });
  try {
    expect((await runStatus(third.url, runId)).status).toBe('running');
    expect(await third.stop()).toEqual({ code: 0, signal: null });
  } finally {
    await third.dispose();
  }
  const run = await finish(b.url, runId);
  expect(run.terminal.output).toBe('ab');
}, 60_000);

test('a stop of the process that executes a run reaches the readers at the other', async () => {
  const grace = { DIFY_AGENT_SHUTDOWN_GRACE_SECONDS: '0' };
  const stopping = await startServer({ env: { ...env(), ...grace } });
  try {
    const runId = await createRun(stopping.url, scripted([[{ text: 'a' }, FOREVER]]));
    const reading = readSse(b.url, runId);
    await until('the text', async () => (await get(`${b.url}/runs/${runId}/events`)).text.includes('final_result'));
    expect(await stopping.stop()).toEqual({ code: 0, signal: null });
    const { frames } = await within('the end of the stream', reading);
    expect(frames.at(-1)?.event).toBe('run_failed');
    expect(JSON.parse(frames.at(-1)?.data ?? '').data.reason).toBe('shutdown');
    expect((await runStatus(b.url, runId)).status).toBe('failed');
  } finally {
    await stopping.dispose();
  }
}, 60_000);

test('an unknown run is unknown to both, and a prefix keeps servers apart', async () => {
  const apart = await startServer({ env: { ...env(), DIFY_AGENT_REDIS_PREFIX: 'apart' } });
  try {
    const { runId } = await runToEnd(a.url, scripted([[{ text: 'x' }]]));
    for (const [server, id] of [
      [b, 'no-such-run'],
      [apart, runId],
    ] as const) {
      for (const path of [`/runs/${id}`, `/runs/${id}/events`, `/runs/${id}/events/sse`]) {
        expect([path, (await get(`${server.url}${path}`)).status]).toEqual([path, 404]);
      }
    }
  } finally {
    await apart.dispose();
  }
}, 60_000);
