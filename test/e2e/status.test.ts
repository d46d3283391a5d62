// `dify-agent status` against the compiled binary, and against what is no such server.

import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { describe as describeReport, duration, statusCommand } from '../../src/cli/status.ts';
import type { StatusReport } from '../../src/observe/status.ts';
import { fakeIo } from '../cli/support.ts';
import { type FakeDaemon, startFakeDaemon } from '../fakes/plugin-daemon.ts';
import { createRun, get, plugin } from '../support/runs.ts';
import { startProcess, startServer, type TestServer } from '../support/server.ts';
import { until } from '../support/until.ts';

const TOKEN = 'status-token-1';
let daemon: FakeDaemon;
let server: TestServer;

beforeAll(async () => {
  daemon = await startFakeDaemon();
  server = await startServer({
    env: { DIFY_AGENT_PLUGIN_DAEMON_URL: daemon.url, DIFY_AGENT_SHUTDOWN_GRACE_SECONDS: '30' },
  });
}, 180_000);

afterAll(async () => {
  await server.dispose();
  await daemon.stop();
});

async function status(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const io = fakeIo(args, env);
  const code = await statusCommand(io);
  return { code, printed: io.printed(), complaints: io.complaints };
}

test('a run that waits for its model is shown with what it does and for how long', async () => {
  daemon.play({ llm: [['a', { hang: true }]] });
  const runId = await createRun(server.url, plugin({ tenant: 'acme\u202eeman' }));
  const report = async () => JSON.parse((await get(`${server.url}/internal/status`)).text) as StatusReport; // documented
  await until('the first delta', async () => ((await report()).runs.oldest[0]?.events ?? 0) >= 2);
  const { runs, peers, layer_types } = await report();
  expect(runs).toMatchObject({
    active: 1,
    phases: { model: 1 },
    oldest: [{ run_id: runId, phase: 'model', layers: 3 }],
  });
  expect(peers).toMatchObject([{ peer: 'plugin_daemon', connections: { active: 1, waiting: 0 } }]);
  expect(layer_types).toEqual(expect.arrayContaining(['plain.prompt', 'dify.plugin.llm', 'test.scripted_llm']));

  const text = await status([server.url]);
  expect(text.code).toBe(0);
  expect(text.printed).toContain(`at ${server.url}: up for `);
  expect(text.printed).toMatch(/runs {5}1 of \d+ active \(1 model\)/);
  expect(text.printed).toMatch(new RegExp(`^${runId} .* model .* \\d +1 +0 +acme`, 'm'));
  expect(text.printed).toContain('acme\ufffdeman'); // it cannot turn the direction of the line

  const json = await status(['--json'], { DIFY_AGENT_URL: server.url });
  expect(JSON.parse(json.printed)).toMatchObject({ runs: { active: 1 }, stopping: false });

  // The same as users have it; then the server stops, and says so.
  const process = await startProcess({ args: ['status', server.url] });
  expect((await process.exited).code).toBe(0);
  expect(process.stdoutLines.join('\n')).toContain(runId);
  await process.dispose();
  server.kill('SIGTERM');
  await until('the stop', async () => (await report()).stopping);
  const stopping = await status([server.url]);
  expect([stopping.code, stopping.printed.includes('STOPPING')]).toEqual([1, true]);
}, 60_000);

test('a server with a token tells whoever has it', async () => {
  const guarded = await startServer({ env: { DIFY_AGENT_API_TOKEN: TOKEN } });
  try {
    const refused = await status([guarded.url]);
    expect([refused.code, refused.printed]).toEqual([1, '']);
    expect(refused.complaints[0]).toContain('HTTP 401: missing authorization header; set DIFY_AGENT_API_TOKEN');
    const wrong = await status([guarded.url], { DIFY_AGENT_API_TOKEN: 'wrong-secret' });
    expect(wrong.complaints.join()).not.toContain('wrong-secret');
    expect((await status([guarded.url], { DIFY_AGENT_API_TOKEN: TOKEN })).code).toBe(0);
    const inUrl = guarded.url.replace('//', `//any:${TOKEN}@`);
    const told = await status([inUrl]);
    expect([told.code, told.printed.includes(TOKEN)]).toEqual([0, false]);
  } finally {
    await guarded.dispose();
  }
}, 60_000);

describe('words and answers that are not understood', () => {
  test.each([[['a', 'b']], [['--nope']], [['ftp://x']], [['not a url']]])('%j is exit code 2', async (args) => {
    const { code, complaints } = await status(args);
    expect([code, complaints.length]).toEqual([2, 1]);
    expect(complaints[0]).toContain('Usage: dify-agent status [URL] [--json]');
  });

  test('nobody listens: one line, exit code 1, no password', async () => {
    const { code, complaints } = await status(['http://u:hunter2@127.0.0.1:9']);
    expect([code, complaints]).toEqual([1, ['the server cannot be reached (http://127.0.0.1:9)']]);
  });

  test.each([
    ['a page', '<html>hi</html>'],
    ['another object', '{"status":"ok"}'],
    ['null', 'null'],
    ['a list', '[]'],
  ])('%s is no status', async (_, body) => {
    const other = Bun.serve({ port: 0, hostname: '127.0.0.1', fetch: () => new Response(body) });
    const { code, complaints } = await status([`http://127.0.0.1:${other.port}`]);
    expect([code, complaints[0]?.startsWith('the answer is no status of a dify-agent server')]).toEqual([1, true]);
    await other.stop(true);
  });
});

test('durations are told in two units', () => {
  expect([0.04, 59.94, 65, 3_725, 360_000].map(duration)).toEqual([
    '0.0 s',
    '59.9 s',
    '1 min 5 s',
    '1 h 2 min',
    '4 d 4 h',
  ]);
});

test('a lost lease, failing peers and a late loop are told', () => {
  const report: StatusReport = {
    version: '1',
    wire: '2026-08',
    started_at: '2026-06-02T08:15:30.204000Z',
    uptime_seconds: 61,
    stopping: false,
    layer_types: [],
    store: { description: 'redis://x', lease: { held: false, losses: 1 } },
    runs: {
      active: 101,
      limit: 200,
      phases: { queued: 1, starting: 0, model: 100, tool: 0, exiting: 0 },
      ended: { succeeded: 1, failed: 2, cancelled: 3, lost: 4 },
      refused: 5,
      oldest: [
        {
          ...{ run_id: 'r', tenant_id: 'a\u001b[2J\nfake line', phase: 'model', age_seconds: 1, phase_seconds: 1 },
          ...{ layers: 1, model_requests: 1, tool_calls: 0, events: 1 },
        },
      ],
    },
    streams: { open: 1, behind: 0, stuck: 0 },
    peers: [
      {
        ...{ peer: 'shellctl', state: 'failing', last_answer_at: null, last_status: null },
        ...{ last_failure_at: 'then', last_failure: 'timeout', last_failed_operation: 'jobs/run' },
        connections: { active: 2, waiting: 3, limit: 2 },
      },
    ],
    process: {
      ...{ pid: 1, rss_bytes: 1048576, heap_used_bytes: 1048576, cpu_seconds: 1.25 },
      event_loop_delay_max_seconds: 0.25,
    },
  };
  const text = describeReport(report, new URL('http://h:1/base'));
  expect(text).toContain('LEASE NOT HELD');
  expect(text).toContain('shellctl: failing, last failure then (timeout, jobs/run), 2 of 2 connections, 3 waiting');
  expect(text).toContain('event loop at most 250 ms late');
  expect(text).toContain('and 100 younger ones');
  expect(text).not.toContain('\u001b');
  expect(text.split('\n').some((line) => line.startsWith('fake line'))).toBe(false);
});
