// Creating runs: record, owner and idempotency key in one step, which is repeated when its reply was lost. Creations that were
// reported as failed although Redis may have them are taken back: nobody executes such a run.

import { errorText } from '../base/errors.ts';
import type { Logger } from '../observe/logger.ts';
import type { RunComposition, RunRecord } from '../protocol/runs.ts';
import { StoreUnavailableError } from '../runs/errors.ts';
import type { CreateOutcome, CreationFinder, Deduplication } from '../runs/ports.ts';
import { RunExistsError, toStoreError } from './errors.ts';
import { LinkDownError, RedisRefusal } from './redis-errors.ts';
import { NO_ENTRY, type RunIndex } from './redis-index.ts';
import { idempotencyKeys, NOBODY, type OwnerKeys, ownerKeys, runKeys, runsBase } from './redis-keys.ts';
import type { Lease } from './redis-lease.ts';
import type { RedisLink } from './redis-link.ts';
import { parseRecord, recordText } from './redis-record.ts';
import { before, REQUEST_DEADLINE_MS, type Requests } from './redis-requests.ts';
import { runScript, type Scripts } from './redis-scripts.ts';

/** How often a creation is tried when the lease has run out meanwhile. */
const MAX_ATTEMPTS = 3;
/** Creations to be taken back that are remembered; beyond, the oldest is left to expire. */
const MAX_ORPHANS = 10_000;

export interface CreationsOptions {
  readonly link: RedisLink;
  readonly requests: Requests;
  readonly scripts: Scripts;
  readonly prefix: string;
  readonly owner: OwnerKeys;
  readonly lease: Lease;
  readonly retentionMs: number;
  /** Time to live of idempotency keys, ms: longer than the record lives without being refreshed. */
  readonly keyTtlMs: number;
  readonly indexTtlMs: number;
  /** Null: runs are not listed. */
  readonly index: RunIndex | null;
  /** This process executes the run from now on; the keys are to be kept alive as long. `known`: others may know of it. */
  readonly onCreated: (runId: string, keys: readonly string[], known: boolean) => void;
  readonly logger: Logger;
}

export interface Creations extends CreationFinder {
  /** As RunStore.create. */
  create(
    record: RunRecord,
    deduplication: Deduplication | null,
    composition: RunComposition | null,
  ): Promise<CreateOutcome>;
  /** Takes back what is to be; called when the lease was taken through a new connection. */
  sweep(): void;
}

/** What create.lua wants to know of an idempotency key. */
interface Idempotency {
  readonly keys: readonly string[];
  readonly args: readonly string[];
  readonly fingerprint: string;
}

/** A creation that may have been applied: what discard.lua is called with. */
interface Orphan {
  readonly keys: readonly string[];
  readonly args: readonly string[];
}

export function createCreations(options: CreationsOptions): Creations {
  const { link, requests, scripts, prefix, owner, lease } = options;
  /** By run id. */
  const orphans = new Map<string, Orphan>();

  async function create(
    record: RunRecord,
    deduplication: Deduplication | null,
    composition: RunComposition | null,
  ): Promise<CreateOutcome> {
    const text = recordText(record);
    const entry = options.index?.entry(record, composition) ?? NO_ENTRY;
    const { record: key } = runKeys(prefix, record.run_id);
    const idem = deduplication === null ? null : idempotencyOf(deduplication);
    /** Something may have been applied whose reply did not come. */
    let doubtful = false;
    if (idem !== null) await settled();
    for (let attempt = 1; ; attempt += 1) {
      const keys = [key, owner.index, owner.lease, ...(idem?.keys ?? [])];
      const times = [String(options.retentionMs), lease.epoch, String(options.indexTtlMs)];
      const args = [record.run_id, text, ...times, ...entry.args, ...(idem?.args ?? [])];
      let reply: unknown;
      try {
        reply = await requests.run(scripts.create, keys, args, () => {
          doubtful = true;
        });
      } catch (error) {
        const failure = toStoreError(error);
        const certain = failure.cause instanceof RedisRefusal || failure.cause instanceof LinkDownError;
        if (doubtful || !certain) adopt(record.run_id, text, idem);
        throw failure;
      }
      const [verdict, existingId, existing]: unknown[] = Array.isArray(reply) ? reply : [];
      if (verdict === 'created' || (verdict === 'same' && doubtful)) {
        if (record.status === 'running') {
          options.onCreated(record.run_id, [...(idem?.keys ?? []), ...entry.keys], idem !== null);
        }
        return { created: true };
      }
      if (verdict === 'conflict') return { created: false, existing: null };
      if (verdict === 'existing') {
        const found = parseRecord(String(existingId), String(existing));
        if (found !== null) return { created: false, existing: found };
        // A record that cannot be read counts as none, here too.
        options.logger.error('unreadable run record skipped', { run_id: String(existingId) });
        return create(record, null, composition);
      }
      if (verdict !== 'lapsed') throw new RunExistsError(record.run_id);
      if (attempt === MAX_ATTEMPTS) {
        if (doubtful) adopt(record.run_id, text, idem);
        throw new StoreUnavailableError(new Error('the lease of this process could not be renewed'));
      }
      await lease.renew();
    }
  }

  async function findCreated({ key, fingerprint, strict }: Deduplication): ReturnType<Creations['findCreated']> {
    const { same, last } = idempotencyKeys(prefix, key, fingerprint);
    const recordOf = async (runId: string): Promise<RunRecord | null> => {
      const text = await requests.ask(['GET', runKeys(prefix, runId).record]);
      return typeof text === 'string' ? parseRecord(runId, text) : null;
    };
    try {
      const runId = await requests.ask(['GET', same]);
      const existing = typeof runId === 'string' ? await recordOf(runId) : null;
      if (existing !== null) return { created: false, existing };
      if (!strict) return null;
      const [digest, lastId] = String((await requests.ask(['GET', last])) ?? '').split(' ', 2);
      const used = lastId !== undefined && digest !== fingerprint && (await recordOf(lastId)) !== null;
      return used ? { created: false, existing: null } : null;
    } catch (error) {
      throw toStoreError(error);
    }
  }

  function idempotencyOf({ key, fingerprint, strict }: Deduplication): Idempotency {
    const { same, last } = idempotencyKeys(prefix, key, fingerprint);
    const args = [runsBase(prefix), fingerprint, strict ? '1' : '0', String(options.keyTtlMs)];
    return { keys: [same, last], args, fingerprint };
  }

  function adopt(runId: string, text: string, idem: Idempotency | null): void {
    const [oldest] = orphans.keys();
    if (oldest !== undefined && orphans.size >= MAX_ORPHANS) orphans.delete(oldest);
    const keys = [runKeys(prefix, runId).record, owner.index];
    const args = [runId, text];
    if (idem !== null) {
      keys.push(...idem.keys, ownerKeys(prefix, NOBODY).index, owner.owners);
      args.push(`${idem.fingerprint} ${runId}`, String(options.indexTtlMs));
    }
    orphans.set(runId, { keys, args });
    void sweep();
  }

  /**
   * Once is enough: through a connection that has taken the lease, what comes later of an older one is not applied any more
   * (lua/create.lua), and what this one was sent comes before.
   */
  async function sweep(): Promise<void> {
    if (!lease.confirmed) return;
    const work = [...orphans].map(async ([runId, { keys, args }]) => {
      try {
        await runScript((command) => link.send(command), scripts.discard, keys, args);
        orphans.delete(runId);
      } catch (error) {
        // The next renewal of the lease tries again.
        options.logger.debug('a creation could not be taken back', { run_id: runId, reason: errorText(error) });
      }
    });
    await Promise.all(work);
  }

  /** Waits until no creation in doubt holds an idempotency key, if that is soon: its caller may be trying again. */
  async function settled(): Promise<void> {
    if (orphans.size === 0) return;
    const deadline = performance.now() + REQUEST_DEADLINE_MS;
    await link.whenUp(REQUEST_DEADLINE_MS);
    await before(deadline, lease.renew().then(sweep)).catch(() => {});
  }

  return { create, findCreated, sweep: () => void sweep() };
}
