// `status`: what a server is doing, from its /internal/status. For people by default, as it came with --json.

import { parseArgs } from 'node:util';
import { errorText } from '../base/errors.ts';
import type { StatusReport } from '../observe/status.ts';
import { DEFAULT_URL, EXIT, type Io } from './io.ts';
import { jsonLine, printable } from './render.ts';

const USAGE = 'status [URL] [--json]';
/** A server that cannot say this within so many ms is stuck. */
const TIMEOUT_MS = 10_000;
/** More than a report of a hundred runs has. */
const MAX_ANSWER_CHARS = 4 * 1024 * 1024;

/** Prints the report. Exit code 1: there is none, or it is stopping; 2: the words are not understood. */
export async function statusCommand(io: Io): Promise<number> {
  let words: { readonly url: URL; readonly json: boolean };
  try {
    words = readWords(io);
  } catch (error) {
    await io.complain(printable(`${errorText(error)}. Usage: dify-agent ${USAGE}`));
    return EXIT.usage;
  }
  try {
    const report = await ask(words.url, io.env.DIFY_AGENT_API_TOKEN ?? '');
    await io.print(words.json ? jsonLine(report) : describe(report, words.url));
    return report.stopping ? EXIT.failed : EXIT.ok;
  } catch (error) {
    await io.complain(printable(`${errorText(error)} (${shown(words.url)})`));
    return EXIT.failed;
  }
}

function readWords({ args, env }: Io): { readonly url: URL; readonly json: boolean } {
  const { values, positionals } = parseArgs({
    args: [...args],
    options: { json: { type: 'boolean', default: false }, url: { type: 'string' } },
    allowPositionals: true,
    strict: true,
  });
  if (positionals.length > 1) throw new Error(`expected one URL, got ${positionals.length} arguments`);
  const fromEnvironment = env.DIFY_AGENT_URL?.trim() ?? '';
  const text = positionals[0] ?? values.url ?? (fromEnvironment === '' ? DEFAULT_URL : fromEnvironment);
  const url = URL.parse(text);
  if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
    throw new Error('expected a URL that begins with http:// or https://');
  }
  return { url, json: values.json };
}

async function ask(base: URL, token: string): Promise<StatusReport> {
  const url = new URL(base);
  url.pathname = `${base.pathname.replace(/\/+$/, '')}/internal/status`;
  const password = url.password === '' ? token : decodeURIComponent(url.password);
  [url.username, url.password, url.search, url.hash] = ['', '', '', ''];
  const response = await get(url, password);
  if (response.status !== 200) throw new Error(refusal(response.status, await response.text()));
  const text = await response.text();
  if (text.length > MAX_ANSWER_CHARS) throw new Error('the answer is too long for a status');
  return asReport(text);
}

async function get(url: URL, token: string): Promise<Response> {
  try {
    return await fetch(url, {
      headers: { accept: 'application/json', ...(token === '' ? {} : { authorization: `Bearer ${token}` }) },
      redirect: 'manual',
      signal: AbortSignal.timeout(TIMEOUT_MS),
      proxy: false,
    });
  } catch (error) {
    const late = error instanceof DOMException && error.name === 'TimeoutError';
    throw new Error(late ? `no answer within ${TIMEOUT_MS / 1000} s` : 'the server cannot be reached', {
      cause: error,
    });
  }
}

function refusal(status: number, body: string): string {
  const detail = /"detail"\s*:\s*"((?:[^"\\]|\\.){1,500})"/.exec(body)?.[1] ?? 'no status is told there';
  const hint = status === 401 ? '; set DIFY_AGENT_API_TOKEN' : '';
  return `HTTP ${status}: ${detail}${hint}`;
}

function asReport(text: string): StatusReport {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    value = null;
  }
  if (!isReport(value)) throw new Error('the answer is no status of a dify-agent server');
  return value;
}

/** Whether it has the parts that are printed; a newer server may have more. */
function isReport(value: unknown): value is StatusReport {
  const part = (name: string): unknown => (isObject(value) ? value[name] : undefined);
  const runs = part('runs');
  return (
    ['store', 'streams', 'process'].every((name) => isObject(part(name))) &&
    Array.isArray(part('peers')) &&
    isObject(runs) &&
    isObject(runs.phases) &&
    isObject(runs.ended) &&
    Array.isArray(runs.oldest)
  );
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The report for people. */
export function describe(report: StatusReport, url: URL): string {
  const { runs, store, streams, peers, process: self } = report;
  const lease = store.lease === null ? '' : store.lease.held ? ', lease held' : ', LEASE NOT HELD';
  const delay = self.event_loop_delay_max_seconds;
  const phases = Object.entries(runs.phases).filter(([, count]) => count > 0);
  const lines = [
    `dify-agent ${report.version} at ${shown(url)}: ${report.stopping ? 'STOPPING' : 'up'} for ${duration(report.uptime_seconds)}, wire ${report.wire}`,
    `store    ${store.description}${lease}`,
    `runs     ${runs.active} of ${runs.limit} active${phases.length === 0 ? '' : ` (${phases.map(([name, count]) => `${count} ${name}`).join(', ')})`}`,
    `         ended ${list(runs.ended)}; refused ${runs.refused}`,
    `streams  ${streams.open} open, ${streams.behind} behind, ${streams.stuck} stuck`,
    ...peers.map((peer, i) => `${i === 0 ? 'peers' : '     '}    ${peerLine(peer)}`),
    `process  pid ${self.pid}, ${megabytes(self.rss_bytes)} resident, ${megabytes(self.heap_used_bytes)} heap, ${self.cpu_seconds.toFixed(1)} s CPU${delay === null ? '' : `, event loop at most ${Math.round(delay * 1000)} ms late`}`,
    ...runLines(report),
  ];
  return `${lines.map(oneLine).join('\n')}\n`;
}

function list(counts: Readonly<Record<string, number>>): string {
  return Object.entries(counts)
    .map(([name, count]) => `${count} ${name}`)
    .join(', ');
}

function peerLine(peer: StatusReport['peers'][number]): string {
  const { connections, last_failure: failure } = peer;
  const parts = [`${peer.peer}: ${peer.state}`];
  if (peer.last_answer_at !== null) parts.push(`last answer ${peer.last_answer_at}`);
  if (failure !== null) parts.push(`last failure ${peer.last_failure_at} (${failure}, ${peer.last_failed_operation})`);
  if (connections !== null) {
    const { active, waiting, limit } = connections;
    parts.push(`${active} of ${limit} connections${waiting === 0 ? '' : `, ${waiting} waiting`}`);
  }
  return parts.join(', ');
}

function runLines({ runs }: StatusReport): readonly string[] {
  if (runs.oldest.length === 0) return [];
  const rows = runs.oldest.map((run) => [
    run.run_id,
    duration(run.age_seconds),
    `${run.phase} ${duration(run.phase_seconds)}`,
    String(run.events),
    String(run.model_requests),
    String(run.tool_calls),
    run.tenant_id ?? '-',
  ]);
  const table = [['run', 'age', 'doing', 'events', 'model', 'tools', 'tenant'], ...rows];
  const widths = table[0]?.map((_, column) => Math.max(...table.map((row) => (row[column] ?? '').length))) ?? [];
  const more = runs.active - runs.oldest.length;
  return [
    '',
    ...table.map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    ),
    ...(more > 0 ? [`and ${more} younger ones`] : []),
  ];
}

/** `4.2 s`, `3 min 5 s`, `2 h 7 min`, `3 d 4 h`. */
export function duration(seconds: number): string {
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${Math.floor(seconds % 60)} s`;
  const hours = Math.floor(minutes / 60);
  return hours < 24 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

function megabytes(bytes: number): string {
  return `${(bytes / 1024 / 1024).toFixed(1)} MiB`;
}

/** Tenants are texts of callers: no line breaks. */
function oneLine(text: string): string {
  return printable(text).replaceAll(/[\n\t]/g, '\ufffd');
}

/** The URL without what it may hide. */
function shown(url: URL): string {
  return `${url.protocol}//${url.host}${url.pathname === '/' ? '' : url.pathname}`;
}
