// The short fuzzer: fixed seeds, so that it is the same for everybody. `npm run fuzz` goes on for as long as one likes.

import { afterAll, beforeAll, expect, test } from 'bun:test';
import { type FakeDaemon, startFakeDaemon } from '../fakes/plugin-daemon.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { FUZZ_ENV, playCases, type Tally } from './cases.ts';

let daemon: FakeDaemon;
let server: TestServer;

beforeAll(async () => {
  daemon = await startFakeDaemon();
  server = await startServer({ env: { ...FUZZ_ENV, DIFY_AGENT_PLUGIN_DAEMON_URL: daemon.url } });
}, 180_000);

afterAll(async () => {
  await server.dispose();
  await daemon.stop();
});

test('random streams of the daemon: one terminal event, strict events, snapshots that resume', async () => {
  const tally: Tally = new Map();
  await playCases({ server, daemon }, 'valid', 1, 300, tally);
  // Both ends must be common, or the fuzzer tests nothing.
  expect(tally.get('run_succeeded') ?? 0).toBeGreaterThan(60);
  expect(tally.get('run_failed') ?? 0).toBeGreaterThan(30);
}, 60_000);

test('random compositions: the documented answers, and runs that end', async () => {
  const tally: Tally = new Map();
  await playCases({ server, daemon }, 'mutated', 1, 600, tally);
  for (const ended of ['422', 'run_failed', 'run_succeeded']) expect(tally.get(ended) ?? 0).toBeGreaterThan(10);
}, 60_000);
