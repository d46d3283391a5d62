// What finished runs leave behind: bytes per one-chunk run in Redis and in SQLite, commands per run in Redis (store-measures.ts) and
// transactions per run in SQLite.

import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { scripted } from '../support/runs.ts';
import { withFolder, withServer } from '../support/server.ts';
import { driveApart } from './driver.ts';
import { openRedisCounters } from './profile/redis-counters.ts';
import { type BenchStore, withStore } from './stores.ts';

const ONE_CHUNK = JSON.stringify(scripted([[{ text: 'x' }]]));
/** Of the keys in Redis: what stores.ts tells the server. */
export const BENCH_PREFIX = 'dify-agent-bench';

/** Bytes of the store after so many one-chunk runs of five events, per run. */
export async function bytesPerRun(store: BenchStore, runs: number): Promise<number> {
  const { redis } = store;
  return redis === null ? sqliteBytes(runs) : redisBytes(store, redis.url, runs);
}

/** The file after a clean end, everything checkpointed. */
function sqliteBytes(runs: number): Promise<number> {
  return withFolder(async (folder) => {
    const file = join(folder, 'runs.db');
    await withServer({ env: { DIFY_AGENT_STORE_URL: `sqlite:${file}` } }, async (server) => {
      await driveApart({ url: server.url, body: ONE_CHUNK, concurrency: 50, runs, warmUp: 0 });
      await server.stop();
    });
    return statSync(file).size / runs;
  });
}

/** MEMORY USAGE of every key under the prefix, while the server is up. */
async function redisBytes(store: BenchStore, url: string, runs: number): Promise<number> {
  const counters = await openRedisCounters(url, BENCH_PREFIX);
  try {
    return await withStore(store, {}, async (server) => {
      const before = (await counters.read(true)).storedBytes;
      await driveApart({ url: server.url, body: ONE_CHUNK, concurrency: 50, runs, warmUp: 0 });
      return ((await counters.read(true)).storedBytes - before) / runs;
    });
  } finally {
    counters.close();
  }
}

/** Layout of SQLite's write-ahead log (https://sqlite.org/fileformat2.html, section 4). */
const WAL_HEADER_BYTES = 32;
const FRAME_HEADER_BYTES = 24;
const PAGE_SIZE_AT = 8;
const SEQUENCE_AT = 12;

/**
 * Transactions per one-chunk run, `runs` of them `concurrency` at once: the commits in the write-ahead log of a process that was
 * killed before it could move them. Throws when the log was begun anew meanwhile: too many runs for it.
 */
export async function transactionsPerRun(runs: number, concurrency: number): Promise<number> {
  return withFolder(async (folder) => {
    const file = join(folder, 'runs.db');
    return withServer({ env: { DIFY_AGENT_STORE_URL: `sqlite:${file}` } }, async (server) => {
      const before = commits(`${file}-wal`);
      await driveApart({ url: server.url, body: ONE_CHUNK, concurrency, runs, warmUp: 0 });
      server.kill('SIGKILL');
      await server.exited;
      const after = commits(`${file}-wal`);
      if (after.sequence !== before.sequence) throw new Error('the write-ahead log was begun anew');
      return (after.count - before.count) / runs;
    });
  });
}

/** Frames that end a transaction: those that say how large the database is. Frames of an older log are told by their salt. */
function commits(path: string): { readonly count: number; readonly sequence: number } {
  const log = readFileSync(path);
  if (log.length < WAL_HEADER_BYTES) return { count: 0, sequence: 0 };
  const size = FRAME_HEADER_BYTES + log.readUInt32BE(PAGE_SIZE_AT);
  const salt = log.subarray(16, 24);
  let count = 0;
  for (let at = WAL_HEADER_BYTES; at + size <= log.length; at += size) {
    if (log.subarray(at + 8, at + 16).equals(salt) && log.readUInt32BE(at + 4) > 0) count += 1;
  }
  return { count, sequence: log.readUInt32BE(SEQUENCE_AT) };
}
