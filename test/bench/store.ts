// Micro benchmark of the store: events per second raw and through the store, memory per subscription and per active run.
// `npx bun test/bench/store.ts`; prints medians of ROUNDS blocks. Not part of the test suites.

import { heapStats } from 'bun:jsc';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../src/base/clock.ts';
import { CURSOR_START } from '../../src/base/cursor.ts';
import { newRunId } from '../../src/base/ids.ts';
import { noopLogger } from '../../src/observe/logger.ts';
import type { RunStore } from '../../src/runs/ports.ts';
import { createLive } from '../../src/store/live.ts';
import { openSqliteStore } from '../../src/store/sqlite.ts';
import { payloadOf, runningRecord, terminal } from '../contract/run-store.ts';
import { sqliteInserts } from './floor-measures.ts';

const ROUNDS = 5;
const EVENTS = 20_000;
const RUNS = 50;

const directory = mkdtempSync(join(tmpdir(), 'dify-agent-bench-'));
const delta = { content_delta: 'hello wor', provider_name: null, provider_details: null, part_delta_kind: 'text' };
const payload = payloadOf(newRunId(), { index: 0, delta, event_kind: 'part_delta' });
let files = 0;

function open(path = join(directory, `${++files}.db`)): RunStore {
  return openSqliteStore({ path, retentionSeconds: 3600, clock: systemClock(), logger: noopLogger });
}

async function startRuns(store: RunStore, count: number): Promise<readonly string[]> {
  const records = Array.from({ length: count }, () => runningRecord());
  await Promise.all(records.map((record) => store.create(record)));
  return records.map((record) => record.run_id);
}

/** `writers` runs append one event at a time, each after the last was acknowledged. */
async function appendAll(store: RunStore, writers: number, batch = 1): Promise<void> {
  const runIds = await startRuns(store, writers);
  const payloads = new Array<string>(batch).fill(payload);
  await Promise.all(
    runIds.map(async (runId) => {
      for (let i = 0; i < EVENTS / writers; i += batch) await store.append(runId, payloads);
    }),
  );
}

async function measure(name: string, unit: string, count: number, block: () => Promise<void>): Promise<void> {
  const rates: number[] = [];
  const cpu: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const before = process.cpuUsage();
    const started = performance.now();
    await block();
    const seconds = (performance.now() - started) / 1000;
    const used = process.cpuUsage(before);
    rates.push(count / seconds);
    cpu.push((used.user + used.system) / count);
  }
  const median = (values: number[]) => values.sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
  console.log(`${name.padEnd(58)} ${Math.round(median(rates))} ${unit}/s, ${median(cpu).toFixed(1)} µs CPU each`);
}

/** Bytes of heap per item that `make` creates, after a full collection. */
async function weigh(name: string, count: number, make: () => Promise<unknown>): Promise<void> {
  Bun.gc(true);
  const before = heapStats();
  const kept = await make();
  Bun.gc(true);
  const after = heapStats();
  const bytes = after.heapSize + after.extraMemorySize - before.heapSize - before.extraMemorySize;
  console.log(`${name.padEnd(58)} ${Math.round(bytes / count)} bytes each${kept === null ? '!' : ''}`);
}

async function withStore(use: (store: RunStore) => Promise<void>, path?: string): Promise<void> {
  const store = open(path);
  await use(store);
  await store.close();
}

try {
  await measure('raw inserts, 50 runs, 500 per transaction', 'events', EVENTS, async () => {
    await sqliteInserts(EVENTS);
  });
  await measure('store, 50 runs, one event per append', 'events', EVENTS, () => withStore((s) => appendAll(s, RUNS)));
  await measure('store, 50 runs, ten events per append', 'events', EVENTS, () =>
    withStore((s) => appendAll(s, RUNS, 10)),
  );
  await measure('store, 1 run, one event per append', 'events', EVENTS, () => withStore((s) => appendAll(s, 1)));
  await measure('store in memory, 50 runs, one event per append', 'events', EVENTS, () =>
    withStore((s) => appendAll(s, RUNS), ':memory:'),
  );
  await measure('fan-out, 50 runs, one event per append, 1 reader each', 'events', EVENTS, () =>
    withStore(async (s) => {
      const live = createLive(s);
      const runIds = await startRuns(live, RUNS);
      const readers = runIds.map(async (runId) => {
        const subscription = await live.subscribe(runId, CURSOR_START);
        while ((await subscription?.next()) != null) {
          // Read to the end.
        }
      });
      await Promise.all(
        runIds.map(async (runId) => {
          for (let i = 0; i < EVENTS / RUNS; i += 1) await live.append(runId, [payload]);
          await live.finalise(runId, terminal(runId, 'succeeded'));
        }),
      );
      await Promise.all(readers);
    }),
  );
  await measure('whole runs (create, 4 events, end), 50 at once', 'runs', 2_000, () =>
    withStore(async (s) => {
      const live = createLive(s);
      await Promise.all(
        Array.from({ length: RUNS }, async () => {
          for (let i = 0; i < 2_000 / RUNS; i += 1) {
            const [runId = ''] = await startRuns(live, 1);
            for (let event = 0; event < 4; event += 1) await live.append(runId, [payload]);
            await live.finalise(runId, terminal(runId, 'succeeded'));
          }
        }),
      );
    }),
  );
  const store = open();
  const live = createLive(store);
  const [runId = ''] = await startRuns(live, 1);
  await live.append(runId, new Array<string>(EVENTS).fill(payload));
  await measure('replay in pages of 100', 'events', EVENTS, async () => {
    let cursor: string | undefined = CURSOR_START;
    while (cursor !== undefined) cursor = (await store.readEvents(runId, cursor, 100)).at(-1)?.id;
  });
  await weigh('idle subscription on one run, waiting', 10_000, async () => {
    const waiting = [];
    for (let i = 0; i < 10_000; i += 1) {
      const subscription = await live.subscribe(runId, '18446744073709551615-0');
      waiting.push(subscription, subscription?.next());
    }
    return waiting;
  });
  await weigh('active run without subscribers', 10_000, async () => {
    const runIds = await startRuns(live, 10_000);
    await Promise.all(runIds.map((id) => live.append(id, [payload, payload, payload])));
    return runIds;
  });
  await live.close();
} finally {
  rmSync(directory, { recursive: true, force: true });
}
