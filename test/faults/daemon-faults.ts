// A plugin daemon that hangs, trickles, breaks off, talks without end or tells secrets: the run ends in bounded time and memory,
// the call is hung up on, and the process goes on as if nothing had been.

import { readFileSync } from 'node:fs';
import { chunk, eventText, lastItem, type Reply, success } from '../fakes/plugin-daemon.ts';
import { createRun, runStatus, runToEnd, scripted } from '../support/runs.ts';
import { until, within } from '../support/until.ts';
import { checkedEnd, mustEqual, type RunEnd } from './checks.ts';
import { type Flood, startFlood } from './flood.ts';
import { callReply, fed, type Site, type StoreName, tellingReply, withSite } from './site.ts';

/** Seconds of silence that are too long. */
const READ_TIMEOUT = '1';
/** Any run must be over by then, also on a machine that is busy otherwise: a gigabyte has to go through it. */
const BOUND = { timeoutMs: 120_000, everyMs: 20 };
/** More than any run may take of the process, MB. */
const MAX_MEGABYTES = 900;

/** A daemon in trouble and what a run comes to. */
export interface DaemonFault {
  readonly name: string;
  readonly env?: Readonly<Record<string, string>>;
  /** What it answers to the model call … */
  readonly reply?: Reply;
  /** … and to the call of a tool, when the model asked for one. */
  readonly toolReply?: Reply;
  /** Instead of both: this so many times. */
  readonly flood?: { readonly piece: Uint8Array; readonly pieces: number };
  check(end: RunEnd): void;
}

const TINY_CHUNKS = 100_000;
const REQUEST_LIMIT = { DIFY_AGENT_PLUGIN_DAEMON_REQUEST_TIMEOUT: '2' };
const RUN_LIMIT = { DIFY_AGENT_RUN_TIMEOUT_SECONDS: '2' };
const OUT_OF_TIME = failure('Agent run exceeded the configured limit of 2 seconds');

export const DAEMON_FAULTS: readonly DaemonFault[] = [
  { name: 'hangs before its answer', reply: [{ hang: true }], check: failure('ReadTimeout') },
  { name: 'hangs in the middle of its answer', reply: ['a', { hang: true }], check: failure('ReadTimeout') },
  {
    name: 'hangs in a tool call: the time for a run',
    env: { ...RUN_LIMIT, DIFY_AGENT_PLUGIN_DAEMON_READ_TIMEOUT: '60' },
    reply: callReply('slow'),
    toolReply: [{ hang: true }],
    check: OUT_OF_TIME,
  },
  {
    name: 'trickles a byte a while: the time for a call',
    env: REQUEST_LIMIT,
    reply: trickle(),
    check: failure(/2 seconds|Timeout/),
  },
  { name: 'trickles a byte a while: the time for a run', env: RUN_LIMIT, reply: trickle(), check: OUT_OF_TIME },
  { name: 'trickles a byte a while: the time for a line', reply: trickle(), check: failure('ReadTimeout') },
  {
    name: 'says a word a while, for ever: the time for a call',
    env: REQUEST_LIMIT,
    reply: words(),
    check: failure(/2 seconds|Timeout/),
  },
  { name: 'says a word a while, for ever: the time for a run', env: RUN_LIMIT, reply: words(), check: OUT_OF_TIME },
  {
    name: 'closes in the middle of a frame',
    reply: ['a', { raw: 'data: {"code":0,"mess' }, { cut: true }],
    check: failure('peer closed connection without sending complete message body (incomplete chunked read)'),
  },
  {
    name: 'closes before its answer',
    reply: [{ cut: true }],
    check: failure('Server disconnected without sending a response.'),
  },
  { name: 'refuses in words that repeat the secrets', reply: tellingReply(), check: failure(/is wrong/) },
  {
    name: 'sends a gigabyte without a line’s end',
    flood: { piece: Buffer.alloc(2 ** 20, 'x'), pieces: 1024 },
    check: failure(/^Plugin daemon sent a line longer than \d+ characters$/),
  },
  {
    name: 'sends a gigabyte of large chunks',
    env: { DIFY_AGENT_RUN_EVENT_STREAM_MAX_BYTES: String(2 ** 20) },
    flood: { piece: textFrame('x'.repeat(2 ** 18)), pieces: 4096 },
    check: failure(/^Plugin daemon sent more than \d+ bytes$/),
  },
  {
    name: `sends ${TINY_CHUNKS} tiny chunks`,
    reply: [{ repeat: TINY_CHUNKS, text: 'x', batch: 500 }, lastItem()],
    check: (end) => mustBeWhole(end, TINY_CHUNKS + 4),
  },
  {
    name: `sends ${TINY_CHUNKS} tiny chunks into a bounded stream`,
    env: { DIFY_AGENT_RUN_EVENT_STREAM_MAX_LENGTH: '1000' },
    reply: [{ repeat: TINY_CHUNKS, text: 'x', batch: 500 }, lastItem()],
    check: (end) => mustBeWhole(end, 1_101),
  },
];

/** What a fault was about. */
export interface DaemonReport {
  readonly seconds: number;
  /** The most that the process had resident, MB. */
  readonly megabytes: number;
}

/** Plays one fault on one store. Throws with what was wrong. */
export function daemonRound(fault: DaemonFault, store: StoreName): Promise<DaemonReport> {
  const flood = fault.flood === undefined ? null : startFlood(fault.flood.piece, fault.flood.pieces);
  const env = {
    DIFY_AGENT_PLUGIN_DAEMON_READ_TIMEOUT: READ_TIMEOUT,
    ...fault.env,
    ...(flood === null ? {} : { DIFY_AGENT_PLUGIN_DAEMON_URL: flood.url }),
  };
  return withSite(store, { env }, (site) => playFault(fault, site, flood)).finally(() => flood?.stop());
}

async function playFault(fault: DaemonFault, site: Site, flood: Flood | null): Promise<DaemonReport> {
  const { daemon } = site;
  const server = await site.start();
  const tool = fault.toolReply === undefined ? null : { name: 'slow', replies: [fault.toolReply] };
  const started = performance.now();
  const runId = await createRun(server.url, fed(daemon, [fault.reply ?? []], tool).body);
  // Before that a bounded stream looks otherwise to each reader.
  await until('the end of the run', async () => (await runStatus(server.url, runId)).status !== 'running', BOUND);
  const seconds = (performance.now() - started) / 1000;
  const end = await checkedEnd(server.url, runId);
  fault.check(end);
  await until('the daemon to be hung up on, or let go', () => (flood?.open ?? daemon.openSockets()) <= 1);
  const after = await within('a new run', runToEnd(server.url, scripted([[{ text: 'new' }]])));
  mustEqual('a new run', [String(after.terminal.output)], ['new']);
  const megabytes = mostMegabytes(server.pid);
  if (megabytes > MAX_MEGABYTES) throw new Error(`the process took ${megabytes} MB`);
  return { seconds, megabytes };
}

/** The most that a process ever had resident, MB. */
function mostMegabytes(pid: number): number {
  return Math.round(Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024);
}

/** A check that the run failed with this text. */
function failure(error: string | RegExp): (end: RunEnd) => void {
  return ({ status, terminal }) => {
    const text = String(terminal.error);
    const right = typeof error === 'string' ? text === error : error.test(text);
    if (status.status !== 'failed' || !right) throw new Error(`${status.status}: ${text} instead of ${error}`);
  };
}

function mustBeWhole({ terminal, frames }: RunEnd, mostEvents: number): void {
  mustEqual('characters of the output', [String(String(terminal.output).length)], [String(TINY_CHUNKS)]);
  mustEqual('the first event', [frames[0]?.event ?? ''], ['run_started']);
  if (frames.length > mostEvents) throw new Error(`${frames.length} events`);
}

/** Bytes of a frame, each on its own. */
function trickle(): Reply {
  const bytes = Buffer.from(eventText(success(chunk({ content: 'never complete' }))));
  return [{ flush: true }, ...[...bytes].flatMap((byte) => [{ bytes: Buffer.from([byte]) }, { delay: 400 }])];
}

function words(): Reply {
  return [{ repeat: 10_000, text: 'word ', gap_ms: 100 }];
}

function textFrame(content: string): Uint8Array {
  return Buffer.from(eventText(success(chunk({ content }))));
}
