// Runs of dead owners: finding them, and ending them as long as their owner is dead. An owner is dead when it has no lease;
// which runs are whose is in sets that only this implementation writes, so that a Python process's runs are never found.

import type { FinaliseOutcome, TerminalTransition } from '../runs/ports.ts';
import { toStoreError } from './errors.ts';
import { storablePayload } from './payload.ts';
import { endText } from './redis-index.ts';
import { NOBODY, ownBase, ownerKeys, type RunKeys, runsBase } from './redis-keys.ts';
import type { RedisLink } from './redis-link.ts';
import { CHECK_BATCH } from './redis-own.ts';
import { isRunStatus, parseIntent, recordFrame } from './redis-record.ts';
import type { Requests } from './redis-requests.ts';
import type { Scripts } from './redis-scripts.ts';

/** How often to look, in parts of a lease. */
const LOOKS_PER_LEASE = 3;
/** Two looks count as two when they are this far apart, in parts of a lease: less than a look, more than a renewal. */
const APART = 0.3;

export interface LostOptions {
  readonly link: RedisLink;
  readonly requests: Requests;
  readonly scripts: Scripts;
  readonly prefix: string;
  readonly keysOf: (runId: string) => RunKeys;
  /** This process. */
  readonly ownerId: string;
  readonly leaseMs: number;
  readonly retentionMs: number;
  readonly indexTtlMs: number;
  /** What the names of the keys of the index of runs begin with; null: runs are not listed. */
  readonly indexBase: string | null;
  /** As LineSettings. */
  readonly newerRecords: boolean;
}

export interface LostRuns {
  readonly intervalMs: number;
  /** As RunStore.listLost. */
  list(): Promise<readonly string[]>;
  /** As RunStore.finaliseLost. */
  finalise(runId: string, transition: TerminalTransition): Promise<FinaliseOutcome>;
  /** The connection was lost: the others may have lost theirs, too. */
  down(): void;
}

export function createLostRuns(options: LostOptions): LostRuns {
  const { requests, scripts, prefix, leaseMs } = options;
  const { owners } = ownerKeys(prefix, options.ownerId);
  /** Owners without a lease → `performance.now()` of the first look that found them so. */
  const absent = new Map<string, number>();
  let first = true;

  /**
   * An owner that only lost its connection, or whose lease ran out while Redis was down, comes back soon. It is taken for dead
   * when two looks have missed it, or at the first look of this process if Redis was there all the time.
   */
  async function deadOwners(): Promise<readonly string[]> {
    const trusted = first && (await uptimeMs()) >= leaseMs;
    const reply = await requests.run(scripts.dead, [owners], [ownBase(prefix)]);
    const now = performance.now();
    const without = new Set(Array.isArray(reply) ? reply.map(String) : []);
    for (const owner of absent.keys()) if (!without.has(owner)) absent.delete(owner);
    for (const owner of without) {
      if (!absent.has(owner)) absent.set(owner, trusted && first ? Number.NEGATIVE_INFINITY : now);
    }
    first = false;
    return [...without].filter((owner) => {
      if (owner === options.ownerId) return false;
      return owner === NOBODY || now - (absent.get(owner) ?? now) >= APART * leaseMs;
    });
  }

  /** How long Redis has been up, to the second; 0 when it does not say, which costs another look. */
  async function uptimeMs(): Promise<number> {
    try {
      const info = String(await options.link.send(['INFO', 'server']));
      return Number(/^uptime_in_seconds:(\d+)/m.exec(info)?.[1] ?? 0) * 1000;
    } catch {
      return 0;
    }
  }

  /** The runs of an owner that are running; the others leave its set. */
  async function runningRuns(owner: string): Promise<readonly string[]> {
    const { index } = ownerKeys(prefix, owner);
    const members = await requests.ask(['SMEMBERS', index]);
    const runIds = Array.isArray(members) ? members.map(String) : [];
    const running: string[] = [];
    for (let i = 0; i < runIds.length; i += CHECK_BATCH) {
      const some = runIds.slice(i, i + CHECK_BATCH);
      const reply = await requests.run(scripts.check, [index], [runsBase(prefix), String(options.indexTtlMs), ...some]);
      if (Array.isArray(reply)) running.push(...some.filter((_, j) => reply[2 * j] === 'running'));
    }
    return running;
  }

  async function list(): Promise<readonly string[]> {
    const found: string[] = [];
    for (const owner of await deadOwners()) found.push(...(await runningRuns(owner)));
    return found;
  }

  async function finalise(runId: string, transition: TerminalTransition): Promise<FinaliseOutcome> {
    const { record, events, intent } = options.keysOf(runId);
    const { status, updatedAt, error, facts } = transition;
    const { indexBase: base, newerRecords } = options;
    const { head, tail } = recordFrame(runId, status, error, newerRecords ? (facts?.errorType ?? null) : null);
    const payload = storablePayload(transition.payload);
    const ttl = String(options.retentionMs);
    const listed = base === null ? ['', ''] : [base, endText(transition)];
    const args = [ownBase(prefix), ttl, runId, status, updatedAt, head, tail, payload, ...listed];
    let doubtful = false;
    const reply = await requests.run(scripts.finaliseLost, [record, events, intent, owners], args, () => {
      doubtful = true;
    });
    if (typeof reply === 'string') return { applied: true, event: { id: reply, payload } };
    const [found, id, last]: unknown[] = Array.isArray(reply) ? reply : [];
    if (found === 'held') {
      return { applied: false, status: 'running', cancel: typeof id === 'string' ? parseIntent(id) : null };
    }
    // The very same end: it was applied by what was sent first.
    if (doubtful && found === status && last === payload) return { applied: true, event: { id: String(id), payload } };
    return { applied: false, status: isRunStatus(found) ? found : null, cancel: null };
  }

  /** Errors as the port has them. */
  async function told<T>(work: Promise<T>): Promise<T> {
    try {
      return await work;
    } catch (error) {
      throw toStoreError(error);
    }
  }

  return {
    intervalMs: leaseMs / LOOKS_PER_LEASE,
    list: () => told(list()),
    finalise: (runId, transition) => told(finalise(runId, transition)),
    down() {
      first = false;
      absent.clear();
    },
  };
}
