// The recorded shutdown: SIGTERM with a grace of 0.3 s while the model is silent, the outcome read through another
// process on the same store.

import { expect, test } from 'bun:test';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startFakeDaemon } from '../fakes/plugin-daemon.ts';
import { at, member, readJson, textOf } from '../support/json-nodes.ts';
import { createRun, get } from '../support/runs.ts';
import { startServer } from '../support/server.ts';
import { readSse } from '../support/sse.ts';
import { until } from '../support/until.ts';
import { Matcher } from './compare.ts';
import { loadScenario } from './fixtures.ts';
import { kindOf } from './replay.ts';

test('shutdown_in_flight: the run fails as recorded, and the next process shows it', async () => {
  const scenario = loadScenario('shutdown_in_flight');
  const step = scenario.steps[0];
  if (step === undefined) throw new Error('another trace');
  const folder = mkdtempSync(join(tmpdir(), 'dify-agent-test-'));
  const daemon = await startFakeDaemon();
  const env = {
    DIFY_AGENT_PLUGIN_DAEMON_URL: daemon.url,
    DIFY_AGENT_STORE_URL: `sqlite:${join(folder, 'runs.db')}`,
    DIFY_AGENT_SHUTDOWN_GRACE_SECONDS: '0.3',
  };
  const first = await startServer({ env });
  try {
    daemon.play({ llm: [['a', { hang: true }]] });
    const runId = await createRun(first.url, step.request);
    await until('the first text', async () =>
      (await get(`${first.url}/runs/${runId}/events`)).text.includes('final_result'),
    );
    const matcher = new Matcher();
    const before = readJson((await get(`${first.url}/runs/${runId}`)).text);
    expect(matcher.compare(member(scenario.node, 'status_before') ?? before, before, 'before')).toEqual([]);
    expect(await first.stop('SIGTERM')).toEqual({ code: 0, signal: null });
    await daemon.waitForAbort();

    const second = await startServer({ env });
    try {
      const { frames } = await readSse(second.url, runId);
      const events = frames.map((frame) => readJson(frame.data));
      expect(events.map(kindOf)).toEqual(step.events.map(kindOf));
      const differences = step.events.flatMap((event, index) =>
        matcher.compare(event, events[index] ?? event, `events[${index}]`),
      );
      const status = readJson((await get(`${second.url}/runs/${runId}`)).text);
      expect([...differences, ...matcher.compare(step.status, status, 'status')]).toEqual([]);
      expect(textOf(at(status, 'status'))).toBe('failed');
    } finally {
      await second.dispose();
    }
  } finally {
    await first.dispose();
    await daemon.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}, 180_000);
