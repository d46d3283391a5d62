// A server and runs that do not end by themselves, in one process, run by test/app.test.ts: cancelled, timed out, asked for
// twice, refused, trimmed and rebased ones. Prints what is left after each round as one JSON line, stops the server, and must
// then end by itself. argv: the store's URL.

import { heapStats } from 'bun:jsc';
import { readdirSync } from 'node:fs';
import { createApp } from '../../src/app.ts';
import { loadSettings } from '../../src/config/load.ts';
import { noopLogger } from '../../src/observe/logger.ts';
import type { Remains } from './leak-probe.ts';
import { createRun, FOREVER, finish, post, type RunBody, scripted } from './runs.ts';
import { openSse } from './sse.ts';

/** Runs of each kind in one round. */
const PER_ROUND = 150;
const ROUNDS = 4;
/** Runs at once: a few times this. */
const WORKERS = 20;
/** Longer than a cancel needs, unless the machine is busy. */
const TIMEOUT_SECONDS = '0.5';

async function send(url: string, path: string, body: unknown, headers: Record<string, string> = {}): Promise<number> {
  const init = { method: 'POST', proxy: false, headers: { 'content-type': 'application/json', ...headers } };
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  const response = await fetch(`${url}${path}`, { ...init, body: text } as RequestInit);
  await response.text();
  return response.status;
}

function expectStatus(what: string, status: string | number, wanted: string | number): void {
  if (status !== wanted) throw new Error(`${what}: ${status} instead of ${wanted}`);
}

/** False: its time was over before. */
async function cancelled(url: string): Promise<boolean> {
  const runId = await createRun(url, scripted([[{ text: 'a' }, FOREVER]]));
  const { frames } = await openSse(url, runId);
  for await (const _ of frames) break;
  const status = await send(url, `/runs/${runId}/cancel`, { reason: 'enough' });
  expectStatus('the run', (await finish(url, runId)).status.status, status === 200 ? 'cancelled' : 'failed');
  expectStatus('repeated cancel', await send(url, `/runs/${runId}/cancel`, {}), status);
  expectStatus('cancel of nothing', await send(url, '/runs/none/cancel', {}), 404);
  return status === 200;
}

async function timedOut(url: string): Promise<void> {
  expectStatus('endless run', (await finish(url, await createRun(url, scripted([[FOREVER]])))).status.status, 'failed');
}

async function askedTwice(url: string, key: string): Promise<void> {
  const body: RunBody = { ...scripted([[{ text: 'a' }]]), idempotency_key: key };
  const ids = await Promise.all([createRun(url, body), createRun(url, body), createRun(url, body)]);
  if (new Set(ids).size !== 1) throw new Error('one key, several runs');
  await finish(url, ids[0] ?? '');
  await finish(url, await createRun(url, { ...body, metadata: { other: true } }));
}

async function trimmedAndRebased(url: string): Promise<void> {
  const { terminal } = await finish(
    url,
    await createRun(url, scripted([[{ text: 'a' }, { thinking: 'b', repeat: 80 }]])),
  );
  const snapshot = terminal.session_snapshot;
  const body = scripted([[{ text: 'a' }]], { history: true, snapshot });
  expectStatus('rebased', await send(url, '/runs', body, { 'x-agent-snapshot-policy': 'rebase' }), 202);
  await finish(url, await createRun(url, body));
  expectStatus('malformed', (await post(url, '{')).status, 422);
}

async function round(url: string, number: number): Promise<void> {
  let left = PER_ROUND;
  let cancels = 0;
  const worker = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      const key = `${number}-${left}`;
      const [inTime] = await Promise.all([cancelled(url), timedOut(url), askedTwice(url, key), trimmedAndRebased(url)]);
      if (inTime) cancels += 1;
    }
  };
  await Promise.all(Array.from({ length: WORKERS }, worker));
  if (cancels < PER_ROUND / 2) throw new Error(`only ${cancels} runs were cancelled in time`);
}

async function remains(): Promise<Remains> {
  // What sockets hold is given back some turns after they closed; runs that just ended are remembered for a second (store/live.ts).
  for (let i = 0; i < 220; i += 1) await new Promise((resolve) => setTimeout(resolve, 10));
  Bun.gc(true);
  return { objects: heapStats().objectCount, descriptors: readdirSync('/proc/self/fd').length };
}

async function main(storeUrl: string): Promise<void> {
  const loaded = loadSettings(
    {
      DIFY_AGENT_PORT: '0',
      DIFY_AGENT_STORE_URL: storeUrl,
      DIFY_AGENT_STREAM_TEXT_DELTA_COALESCING_ENABLED: 'true',
      DIFY_AGENT_ENABLE_SCRIPTED_MODEL: 'true',
      DIFY_AGENT_RUN_TIMEOUT_SECONDS: TIMEOUT_SECONDS,
      DIFY_AGENT_RUN_EVENT_STREAM_MAX_LENGTH: '20',
      DIFY_AGENT_SHUTDOWN_GRACE_SECONDS: '0',
    },
    null,
  );
  if (!loaded.ok) throw new Error(loaded.problems.join('\n'));
  const app = createApp(loaded.settings, { logger: noopLogger });
  const { url } = await app.start();
  for (let i = 0; i < ROUNDS; i += 1) {
    await round(url, i);
    console.log(JSON.stringify(await remains()));
  }
  await app.stop();
}

if (import.meta.main) void main(process.argv[2] ?? 'sqlite::memory:');
