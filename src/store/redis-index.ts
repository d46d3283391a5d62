// The index that lists of runs are made of, for processes that keep one: what is written there (inside the scripts that create
// and end runs), how a page is read, and the walk that drops what has expired. Its shape is in lua/indexed.lua. The index is
// never believed: what a list shows is what the records say.

import { errorText } from '../base/errors.ts';
import type { Logger } from '../observe/logger.ts';
import type { RunComposition, RunRecord, RunStatus } from '../protocol/runs.ts';
import type { ListedRun, RunListPage, RunListQuery, TerminalTransition } from '../runs/ports.ts';
import { toStoreError } from './errors.ts';
import { factsText, listedRun, outlineTexts, shortText } from './outline.ts';
import { indexBase, runsBase } from './redis-keys.ts';
import type { RedisLink } from './redis-link.ts';
import { parseRecord } from './redis-record.ts';
import { before, REQUEST_DEADLINE_MS, type Requests } from './redis-requests.ts';
import { runScript, type Scripts } from './redis-scripts.ts';

/** Runs that are listed at most, all tenants together; beyond, the oldest leaves. Its sets then take about 300 MB. */
export const MAX_LISTED_RUNS = 500_000;
/** Runs that one request looks through, at most. */
export const WINDOW_RUNS = 20_000;
/** Runs that one command looks at: a few milliseconds of Redis. */
const STEP_RUNS = 1_000;
/** Bytes of records and rows after which a page ends early (4 MiB); a page has at least one run. */
const PAGE_MAX_BYTES = 4 * 1024 * 1024;
/** The length of the run ids that this server makes: a search for a whole one is no search. */
const RUN_ID_CHARS = 36;
/** A status that no run has: a walk for its sake finds nothing, and puts the list right. */
const NOTHING = '-';

export interface RunIndexOptions {
  readonly link: RedisLink;
  readonly requests: Requests;
  readonly scripts: Scripts;
  readonly prefix: string;
  /** Time to live of what is written, ms: longer than records live without being refreshed. */
  readonly ttlMs: number;
  /** How often everything is walked through, ms. */
  readonly sweepMs: number;
  readonly logger: Logger;
}

/** What create.lua is told of a run. */
export interface IndexEntry {
  /** Its last arguments but those of an idempotency key. */
  readonly args: readonly string[];
  /** Keys that must not expire while the run goes on. */
  readonly keys: readonly string[];
}

/** For a run that is not listed. */
export const NO_ENTRY: IndexEntry = { args: ['', '', '', '', ''], keys: [] };

export interface RunIndex {
  /** What the names of its keys begin with. */
  readonly base: string;
  /** Keys that must not expire while any run of this process goes on. */
  readonly sharedKeys: readonly string[];
  entry(record: RunRecord, composition: RunComposition | null): IndexEntry;
  /** As RunLister.listRuns. */
  list(query: RunListQuery): Promise<RunListPage | null>;
  /** Drops what has expired. Also done by a timer. Never rejects. */
  sweep(): Promise<void>;
  close(): void;
}

export function createRunIndex(options: RunIndexOptions): RunIndex {
  const { link, requests, scripts, prefix, logger } = options;
  const base = indexBase(prefix);
  const runs = runsBase(prefix);
  const ttl = String(options.ttlMs);
  const statusKey = (status: RunStatus) => `${base}status:${status}`;
  const all = `${base}all`;
  let closed = false;
  let sweeping = false;

  /** Arguments of list.lua up to the statuses. */
  function walk(from: string, limit: number, runsAtMost: number, bytes: number, prefixOfId: string, listed: string) {
    return [base, runs, from, String(limit), String(runsAtMost), String(bytes), prefixOfId, listed, ttl];
  }

  async function list({ statuses, tenant, prefix: text, after, limit }: RunListQuery): Promise<RunListPage | null> {
    let from = after === null ? '+' : startAfter(after);
    if (from === null) return null;
    const wantedId = text ?? '';
    const whole = wantedId.length >= RUN_ID_CHARS;
    if (whole) {
      const member = await memberOf(wantedId);
      if (member === null || after !== null) return { runs: [], nextAfter: null };
      from = `[${member}`;
    }
    const [only, ...others] = statuses;
    const listed = tenant === null && only !== undefined && others.length === 0 && !whole ? only : null;
    const key =
      tenant !== null ? `${base}tenant:${digestOf(shortText(tenant))}` : listed !== null ? statusKey(listed) : all;

    const found: { readonly member: string; readonly run: ListedRun }[] = [];
    let bytes = 0;
    let last = '';
    for (let looked = 0; looked < (whole ? 1 : WINDOW_RUNS); looked += STEP_RUNS) {
      const room = PAGE_MAX_BYTES - bytes;
      const args = walk(from, limit + 1 - found.length, whole ? 1 : STEP_RUNS, room, wantedId, listed ?? '');
      const reply = await requests.run(scripts.list, [key], [...args, ...statuses]);
      const [end, ...words]: unknown[] = Array.isArray(reply) ? reply : [];
      last = typeof end === 'string' ? end : '';
      for (let i = 0; i < words.length; i += 3) {
        const [member, record, row] = [String(words[i]), String(words[i + 1]), words[i + 2]];
        const text = typeof row === 'string' ? row : '';
        bytes += Buffer.byteLength(record) + Buffer.byteLength(text);
        const run = listedOf(member, record, text);
        if (run !== null) found.push({ member, run });
      }
      if (last === '' || found.length > limit || bytes >= PAGE_MAX_BYTES) break;
      from = `(${last}`;
    }
    const shown = found.slice(0, limit);
    const rest = found.length > limit ? shown.at(-1)?.member : whole ? '' : last;
    return { runs: shown.map(({ run }) => run), nextAfter: rest === undefined || rest === '' ? null : cursorOf(rest) };
  }

  /** Null: the run is in no list. */
  async function memberOf(runId: string): Promise<string | null> {
    const row = await requests.ask(['GET', `${base}run:${runId}`]);
    return typeof row === 'string' ? (row.split('\n', 1)[0] ?? null) : null;
  }

  /** One walk through a list, which is then right. */
  async function walkThrough(key: string, listed: string): Promise<void> {
    const send = (command: readonly string[]) => before(performance.now() + REQUEST_DEADLINE_MS, link.send(command));
    for (let from = '+'; !closed; ) {
      const args = [...walk(from, 1, STEP_RUNS, PAGE_MAX_BYTES, '', listed), NOTHING];
      const reply = await runScript(send, scripts.list, [key], args);
      const last: unknown = Array.isArray(reply) ? reply[0] : '';
      if (typeof last !== 'string' || last === '') return;
      from = `(${last}`;
    }
  }

  async function sweep(): Promise<void> {
    if (sweeping || closed || link.connection === null) return;
    sweeping = true;
    try {
      await walkThrough(all, '');
      await walkThrough(statusKey('running'), 'running');
    } catch (error) {
      // The next walk makes up for this one, and lists do not show what is gone.
      if (!closed) logger.debug('the index of runs could not be looked through', { reason: errorText(error) });
    } finally {
      sweeping = false;
    }
  }

  const timer = setInterval(() => void sweep(), options.sweepMs);
  timer.unref();

  return {
    base,
    sharedKeys: [all, statusKey('running')],
    entry(record, composition) {
      const { tenant, layers } = outlineTexts(composition ?? { schema_version: 1, layers: [] });
      const digest = tenant === null ? NO_TENANT : digestOf(tenant);
      const member = `${startOf(record)}:${digest}`;
      const row = [member, JSON.stringify(tenant), composition === null ? 'null' : layers].join('\n');
      const keys = [`${base}run:${record.run_id}`];
      if (tenant !== null) keys.push(`${base}tenant:${digest}`);
      return { args: [member, row, base, ttl, String(MAX_LISTED_RUNS)], keys };
    },
    async list(query) {
      try {
        return await list(query);
      } catch (error) {
        throw toStoreError(error);
      }
    },
    sweep,
    close() {
      closed = true;
      clearInterval(timer);
    },
  };
}

/** What lists tell of an end, as finalise.lua keeps it. */
export function endText({ facts }: TerminalTransition): string {
  return facts === undefined ? 'null' : factsText(facts);
}

/** In a member, where there is no tenant. */
const NO_TENANT = '-';

/** Tenants are caller text: their digests are the names of keys. 128 bits of SHA-256. */
function digestOf(tenant: string): string {
  return new Bun.CryptoHasher('sha256').update(tenant).digest('hex').slice(0, 32);
}

/** `{created at, microseconds, 16 digits}:{run id}`: members are in the order of their text. */
function startOf({ run_id, created_at }: RunRecord): string {
  const seconds = Date.parse(`${created_at.slice(0, 19)}Z`) / 1000;
  const micros = seconds * 1_000_000 + Number(/\.(\d{6})/.exec(created_at)?.[1] ?? 0);
  return `${String(Number.isSafeInteger(micros) && micros > 0 ? micros : 0).padStart(16, '0')}:${run_id}`;
}

/** The next page begins behind this member. */
function cursorOf(member: string): string {
  const start = member.slice(0, member.lastIndexOf(':'));
  return `r${Buffer.from(start).toString('base64url')}`;
}

/** Where list.lua begins; null: not one of our cursors. */
function startAfter(cursor: string): string | null {
  if (!/^r[\w-]{20,1000}$/.test(cursor)) return null;
  const start = Buffer.from(cursor.slice(1), 'base64url').toString();
  return /^\d{16}:./s.test(start) ? `(${start}:` : null;
}

/** Null: the record cannot be read, and counts as none. */
function listedOf(member: string, record: string, row: string): ListedRun | null {
  const runId = member.slice(17, member.lastIndexOf(':'));
  const read = parseRecord(runId, record);
  if (read === null) return null;
  const [, tenant = 'null', layers = null, facts = null] = row.split('\n');
  return listedRun(read, { tenant: tenantIn(tenant), layers, facts });
}

function tenantIn(text: string): string | null {
  try {
    const tenant: unknown = JSON.parse(text);
    return typeof tenant === 'string' ? tenant : null;
  } catch {
    return null;
  }
}
