// The plugin daemon of spec 07 §6.1's tool profile, in a process of its own: two rounds that call a tool (10 ms each, the
// tool 5 ms and 1,024 bytes), then 100 chunks 1 ms apart. One run at a time. Prints its address. Argument: how many runs.

import { lastItem, type Reply, startFakeDaemon, toolCallItem } from '../fakes/plugin-daemon.ts';
import type { DaemonProcess } from './daemon-process.ts';

const MODEL_DELAY_MS = 10;
const TOOL_DELAY_MS = 5;
const CHUNKS = 100;
const CHUNK_GAP_MS = 1;

/** The tool of the profile. */
export const BENCH_TOOL = 'benchmark_tool';
/** Model requests of a run that call the tool. */
export const TOOL_ROUNDS = 2;

/** Starts one that can serve `runs` runs. */
export async function startAgentDaemon(runs: number): Promise<DaemonProcess> {
  const child = Bun.spawn([process.execPath, new URL(import.meta.url).pathname, String(runs)], {
    stdout: 'pipe',
    stderr: 'inherit',
  });
  const reader = child.stdout.getReader();
  const { value } = await reader.read();
  reader.releaseLock();
  return { url: new TextDecoder().decode(value).trim(), stop: () => child.kill() };
}

async function serve(runs: number): Promise<void> {
  const calling = (round: number): Reply => [
    { delay: MODEL_DELAY_MS },
    toolCallItem(`benchmark-tool-call-${round}`, BENCH_TOOL, '{"query":"benchmark"}'),
    lastItem('tool_calls'),
  ];
  const speaking: Reply = [
    { delay: MODEL_DELAY_MS },
    { repeat: CHUNKS, text: 'x', gap_ms: CHUNK_GAP_MS },
    lastItem('stop'),
  ];
  const text = { type: 'text', message: { text: 'x'.repeat(1_024) } };
  const tool: Reply = [{ delay: TOOL_DELAY_MS }, { data: text }];
  const rounds = Array.from({ length: TOOL_ROUNDS }, (_, round) => calling(round));
  const daemon = await startFakeDaemon();
  daemon.play({
    llm: Array.from({ length: runs }, () => [...rounds, speaking]).flat(),
    tool: { [BENCH_TOOL]: Array.from({ length: runs * TOOL_ROUNDS }, () => tool) },
  });
  console.log(daemon.url);
}

if (import.meta.main) void serve(Number(process.argv[2] ?? 1));
