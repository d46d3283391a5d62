// The recorded traces once more with the runs in Redis: what callers see does not depend on the store. The traces on which
// we differ on purpose, and those that need other settings, are replay.test.ts's alone.

import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { type FakeDaemon, startFakeDaemon } from '../fakes/plugin-daemon.ts';
import { type RedisProcess, startRedis } from '../support/redis-process.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { waitsFor } from './coverage.ts';
import { EXPECTED_DIFFERENCES } from './expected-differences.ts';
import { loadScenarios, patchScenario, type Scenario } from './fixtures.ts';
import { replay } from './replay.ts';

/** Recorded with time-outs or pool sizes of their own (replay.test.ts). */
const OTHER_SETTINGS: readonly string[] = ['llm_error_pool_timeout', 'tool_error_read_timeout'];

let redis: RedisProcess;
let daemon: FakeDaemon;
let server: TestServer;

beforeAll(async () => {
  redis = await startRedis();
  daemon = await startFakeDaemon();
  server = await startServer({
    env: { DIFY_AGENT_STORE_URL: redis.url, DIFY_AGENT_PLUGIN_DAEMON_URL: daemon.url },
  });
}, 180_000);

afterAll(async () => {
  await server?.dispose();
  await daemon?.stop();
  await redis?.dispose();
});

/** The trace as it must be replayed here; null when it is not. */
function replayed(scenario: Scenario): Scenario | null {
  if (scenario.steps.length === 0 || scenario.name === 'shutdown_in_flight') return null;
  if (waitsFor(scenario) !== null || OTHER_SETTINGS.includes(scenario.name)) return null;
  const ours = EXPECTED_DIFFERENCES[scenario.name]?.ours;
  if (ours === undefined) return scenario;
  return ours.kind === 'patched' ? patchScenario(scenario, ours.replace) : null;
}

describe('the recorded traces over Redis', () => {
  for (const scenario of loadScenarios().map(replayed)) {
    if (scenario === null) continue;
    test(scenario.name, async () => {
      expect(await replay(scenario, server.url, daemon)).toEqual([]);
    }, 30_000);
  }

  test('leave nothing in Redis but records and streams that expire', async () => {
    await redis.admin(async (client) => {
      const keys = await client.keys('*');
      expect(keys.filter((key) => !/^dify-agent:(runs:[0-9a-f-]{36}:(record|events)|x:.+)$/.test(key))).toEqual([]);
      expect(keys.length).toBeGreaterThan(100);
      for (const key of keys) expect([key, (await client.ttl(key)) > 0]).toEqual([key, true]);
    });
  });
});
