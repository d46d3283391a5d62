// The measurements of issue SHELL, one function each: what `shell_run` adds to shellctl's own time, how much memory a large output
// takes on its way through, and what reading a file costs.

import { join } from 'node:path';
import { startFakeShellctl } from '../fakes/shellctl.ts';
import { startShellctlProcess } from '../fakes/shellctl-process.ts';
import { agent, call } from '../support/agent-runs.ts';
import { runToEnd } from '../support/runs.ts';
import type { TestServer } from '../support/server.ts';
import type { StreamFacts } from '../workspaces/stream-probe.ts';
import { percentile } from './driver.ts';
import { Connection, postRequest } from './http1.ts';
import { type BenchStore, withStore } from './stores.ts';

/** What `shell_run` of `true` takes, in ms: with us, without us, and the difference of the medians. */
export interface ShellCost {
  readonly addedMs: number;
  readonly throughUsMs: number;
  readonly directMs: number;
}

/** A run asks the model 50 times at most. */
const CALLS_PER_RUN = 40;
const WARM_UP = 10;

/** `calls` times `true`, one after the other: by a model's tool calls, and straight to shellctl with the same requests. */
export async function shellRun(calls: number, store: BenchStore): Promise<ShellCost> {
  const shellctl = await startShellctlProcess();
  try {
    const env = { ...shellctlEnv(shellctl), DIFY_AGENT_ENABLE_SCRIPTED_MODEL: 'true' };
    return await withStore(store, env, async ({ url }) => {
      const through: number[] = [];
      const direct: number[] = [];
      const connection = new Connection(shellctl.url);
      // In turns, so that both see the machine at the same speed.
      while (through.length < calls + WARM_UP) {
        through.push(...(await toolTimes(url, CALLS_PER_RUN)));
        for (let left = CALLS_PER_RUN; left > 0; left--) direct.push(await runDirectly(connection, shellctl.token));
      }
      connection.close();
      const throughUsMs = percentile(through.slice(WARM_UP), 0.5);
      const directMs = percentile(direct.slice(WARM_UP), 0.5);
      return { addedMs: throughUsMs - directMs, throughUsMs, directMs };
    });
  } finally {
    await shellctl.stop();
  }
}

/** Bytes and milliseconds of one output that is handed on window by window. */
export interface OutputCost extends StreamFacts {
  readonly megabytesPerSecond: number;
  /** Most that was alive in the middle of it, beyond what was before, in MB. */
  readonly heldMegabytes: number;
}

/** Megabytes of output through the client, in a process of its own (test/workspaces/stream-probe.ts). */
export async function largeOutput(megabytes: number): Promise<OutputCost> {
  const shellctl = await startShellctlProcess();
  try {
    const probe = join(import.meta.dir, '../workspaces/stream-probe.ts');
    const started = performance.now();
    const child = Bun.spawn([process.execPath, probe, shellctl.url, shellctl.token, String(megabytes)], {
      stdout: 'pipe',
      stderr: 'inherit',
    });
    const facts: StreamFacts = JSON.parse(await new Response(child.stdout).text()); // the probe's own words
    const seconds = (performance.now() - started) / 1000;
    return { ...facts, megabytesPerSecond: megabytes / seconds, heldMegabytes: facts.heldBytes / 2 ** 20 };
  } finally {
    await shellctl.stop();
  }
}

/** What one read of a file takes: ms (median), and jobs on shellctl. */
export interface ReadCost {
  readonly ms: number;
  readonly jobs: number;
}

/** Reads a file of so many bytes through `POST /sandbox/files/read`. */
export async function readFile(bytes: number, times: number, store: BenchStore): Promise<ReadCost> {
  const shellctl = startFakeShellctl();
  const id = 'abcdef1';
  await Bun.write(join(shellctl.home, 'workspace', id, 'file'), 'äb\n'.repeat(Math.ceil(bytes / 4)).slice(0, bytes));
  try {
    return await withStore(store, shellctlEnv(shellctl), async (server) => {
      const took: number[] = [];
      for (let left = times; left > 0; left--) {
        const started = performance.now();
        await readOnce(server, id, bytes);
        took.push(performance.now() - started);
      }
      const jobs = shellctl.requests.filter(({ path }) => path === '/v1/jobs/run').length;
      return { ms: percentile(took, 0.5), jobs: jobs / times };
    });
  } finally {
    shellctl.stop();
  }
}

function shellctlEnv({ url, token }: { readonly url: string; readonly token: string }) {
  return { DIFY_AGENT_SHELLCTL_ENTRYPOINT: url, DIFY_AGENT_SHELLCTL_AUTH_TOKEN: token };
}

interface ToolEvent {
  readonly created_at: string;
  readonly data: {
    readonly event_kind?: string;
    readonly result?: { readonly content: { readonly exit_code: number } };
  };
}

/** One run: ms from the event of each call to the event of its result, by the server's clock. */
async function toolTimes(url: string, calls: number): Promise<readonly number[]> {
  const turns = Array.from({ length: calls }, (_, i) => [call(`c${i}`, 'shell_run', { script: 'true' })]);
  const body = agent([...turns, [{ text: 'ok' }]]);
  const { layers } = body.composition as { readonly layers: readonly object[] }; // test/support/agent-runs.ts
  const shell = { name: 'shell', type: 'dify.shell', config: {} };
  const run = await runToEnd(url, { composition: { layers: [...layers, shell] }, on_exit: { default: 'delete' } });
  const times: number[] = [];
  let calledAt = Number.NaN;
  for (const { data } of run.frames) {
    const event = JSON.parse(data) as ToolEvent; // checked by the reader
    if (event.data.event_kind === 'function_tool_call') calledAt = millis(event.created_at);
    if (event.data.event_kind !== 'function_tool_result') continue;
    if (event.data.result?.content.exit_code !== 0) throw new Error(`a call went wrong: ${data}`);
    times.push(millis(event.created_at) - calledAt);
  }
  if (times.length !== calls) throw new Error(`${times.length} of ${calls} calls: ${JSON.stringify(run.terminal)}`);
  return times;
}

/** RFC 3339 with microseconds, which Date does not keep. */
function millis(timestamp: string): number {
  const [, whole = '', micros = '0'] = /^(.*?)(?:\.(\d{1,6}))?(?:Z|\+00:00)$/.exec(timestamp) ?? [];
  return Date.parse(`${whole}Z`) + Number(micros.padEnd(6, '0')) / 1000;
}

/** What the tool sends, in the home, because a workspace is ours to make. */
async function runDirectly(connection: Connection, token: string): Promise<number> {
  const body = { script: 'true', timeout: 2, output_limit: 8192, idle_flush_seconds: 0.5 };
  const request = postRequest('/v1/jobs/run', JSON.stringify(body), { Authorization: `Bearer ${token}` });
  const started = performance.now();
  const { status, body: answer } = await connection.send(request);
  const took = performance.now() - started;
  if (status !== 200 || !answer.includes('"exited"')) throw new Error(`shellctl: ${status} ${answer}`);
  return took;
}

async function readOnce({ url }: TestServer, id: string, bytes: number): Promise<void> {
  const layer = { name: 'shell', type: 'dify.shell', config: {} };
  const state = { session_id: id, workspace_cwd: `~/workspace/${id}`, job_ids: [], job_offsets: {} };
  const locator = {
    composition: { layers: [layer] },
    session_snapshot: { layers: [{ name: 'shell', lifecycle_state: 'suspended', runtime_state: state }] },
  };
  const response = await fetch(`${url}/sandbox/files/read`, {
    method: 'POST',
    proxy: false,
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ locator, path: 'file' }),
  });
  const text = await response.text();
  if (response.status !== 200 || text.length < bytes / 2) throw new Error(`${response.status} ${text.slice(0, 300)}`);
}
