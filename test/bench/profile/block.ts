// One block of one scenario on one server: warm-up, measured runs, then the checks that make it valid (spec 07 §6.1). A block that
// is not valid still shows its figures, with what is wrong.

import { MODEL_DELAY_MS, type Phase, type Scenario } from '../../fakes/bench-scenarios.ts';
import { percentile } from '../driver.ts';
import { Connection, getRequest } from '../http1.ts';
import { cpuMs, watchMegabytes } from '../proc.ts';
import { startWorker } from '../worker.ts';
import type { CheckResult, ProfileJob, RunSample, WorkResult } from './driver.ts';
import type { RedisCounters } from './redis-counters.ts';

/** A server under measurement. */
export interface Target {
  readonly name: string;
  readonly url: string;
  /** Null: its CPU time and memory cannot be seen. */
  readonly pid: number | null;
  /** Null: it has no Redis, or none that we may ask. */
  readonly redis: RedisCounters | null;
}

/** The figures of a block. Null: cannot be seen. */
export interface BlockResult {
  readonly scenario: string;
  readonly server: string;
  /** What makes it invalid; empty: valid. */
  readonly problems: readonly string[];
  readonly attempted: number;
  readonly admitted: number;
  readonly terminal: number;
  readonly successful: number;
  readonly seconds: number;
  readonly successful_runs_per_s: number;
  readonly events_per_run: number;
  readonly max_active_runs: number;
  readonly overhead_ms: Quantiles;
  readonly first_event_ms: Quantiles;
  readonly create_ms: Quantiles;
  readonly e2e_ms: Quantiles;
  readonly fake_latency_p99_ms: number;
  readonly cpu_ms_per_run: number | null;
  readonly peak_rss_mb: number | null;
  /** Received and sent by the server per successful run: with the driver, the fake peers and Redis. */
  readonly network_kb_per_run: number | null;
  readonly redis_commands_per_run: number | null;
  readonly redis_network_bytes_per_run: number | null;
  readonly redis_storage_bytes_per_run: number | null;
  readonly samples: readonly RunSample[];
}

export interface Quantiles {
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
}

/** Fewer runs than the profile asks for: only to see whether the bench works. */
export interface BlockSize {
  readonly warmUp: Phase;
  readonly measure: Phase;
}

/** Measures one block. Rejects when the fakes or the server do not answer at all. */
export async function measureBlock(
  target: Target,
  fakes: string,
  scenario: Scenario,
  size: BlockSize = scenario,
): Promise<BlockResult> {
  const driver = startWorker(new URL('driver.ts', import.meta.url).pathname);
  const peers = new Connection(fakes);
  const job = { do: 'work', url: target.url, fakes, scenario: scenario.id } as const;
  try {
    await driver.ask<WorkResult>({ ...job, phase: size.warmUp } satisfies ProfileJob);
    const stored = (await target.redis?.read(true))?.storedBytes ?? 0;
    const peersBefore = await trafficOf(peers);
    const redisBefore = await target.redis?.read(false);
    const memory = target.pid === null ? null : watchMegabytes(target.pid);
    const cpuBefore = target.pid === null ? 0 : cpuMs(target.pid);
    const work = await driver.ask<WorkResult>({ ...job, phase: size.measure } satisfies ProfileJob);
    const cpu = target.pid === null ? null : cpuMs(target.pid) - cpuBefore;
    const peakRss = memory?.stop() ?? null;
    const redisAfter = await target.redis?.read(false);
    const peersAfter = await trafficOf(peers);
    const storedNow = (await target.redis?.read(true))?.storedBytes ?? 0;
    const check = await driver.ask<CheckResult>({ do: 'check', url: target.url, fakes } satisfies ProfileJob);

    const good = work.samples.filter(({ failure }) => failure === null);
    const perRun = (amount: number) => amount / good.length;
    const redisBytes =
      redisAfter === undefined || redisBefore === undefined
        ? null
        : redisAfter.receivedBytes + redisAfter.sentBytes - redisBefore.receivedBytes - redisBefore.sentBytes;
    const quantiles = (of: (sample: RunSample) => number) => quantilesOf(good.map(of));
    return {
      scenario: scenario.id,
      server: target.name,
      problems: [
        ...problemsOf(work, check),
        ...(redisBefore === undefined || redisAfter === undefined
          ? []
          : [
              ...(redisAfter.evictedKeys > redisBefore.evictedKeys ? ['Redis evicted keys'] : []),
              ...(redisAfter.rejectedConnections > redisBefore.rejectedConnections
                ? ['Redis rejected connections']
                : []),
            ]),
      ],
      attempted: work.samples.length,
      admitted: work.samples.filter(({ failure }) => failure !== 'admission_error' && failure !== 'validation_error')
        .length,
      terminal: work.samples.filter(({ status }) => status !== null).length,
      successful: good.length,
      seconds: work.seconds,
      successful_runs_per_s: good.length / work.seconds,
      events_per_run: perRun(good.reduce((sum, { event_count }) => sum + event_count, 0)),
      max_active_runs: work.maxActive,
      overhead_ms: quantiles((sample) => sample.runtime_overhead_ms),
      first_event_ms: quantiles((sample) => sample.time_to_first_event_ms),
      create_ms: quantiles((sample) => sample.create_run_http_ms),
      e2e_ms: quantiles((sample) => sample.terminal_e2e_ms),
      fake_latency_p99_ms: percentile(check.fakeLatencies, 0.99),
      cpu_ms_per_run: cpu === null ? null : perRun(cpu),
      peak_rss_mb: peakRss,
      network_kb_per_run:
        perRun(work.traffic.received + work.traffic.sent + (peersAfter - peersBefore) + (redisBytes ?? 0)) / 1000,
      redis_commands_per_run:
        redisAfter === undefined || redisBefore === undefined
          ? null
          : perRun(redisAfter.commands - redisBefore.commands),
      redis_network_bytes_per_run: redisBytes === null ? null : perRun(redisBytes),
      redis_storage_bytes_per_run: target.redis === null ? null : perRun(storedNow - stored),
      samples: work.samples,
    };
  } finally {
    peers.close();
    await driver.stop();
  }
}

function problemsOf(work: WorkResult, check: CheckResult): readonly string[] {
  const problems = [...work.problems, ...check.problems];
  if (work.samples.length === 0) problems.push('no run');
  const failed = work.samples.filter(({ failure }) => failure !== null).length;
  if (failed > 0) problems.push(`${failed} of ${work.samples.length} runs did not succeed`);
  const slowest = percentile(check.fakeLatencies, 0.99);
  const bound = Math.max(50, 3 * MODEL_DELAY_MS);
  if (slowest > bound)
    problems.push(`the fake took ${slowest.toFixed(1)} ms to start an answer (p99), more than ${bound}`);
  return problems;
}

/** Bytes of the fake peers' connections with the server, both ways. */
async function trafficOf(peers: Connection): Promise<number> {
  const { body } = await peers.send(getRequest('/__bench/traffic'));
  const { received, sent } = JSON.parse(body) as { received: number; sent: number }; // bench-daemon.ts
  return received + sent;
}

function quantilesOf(values: readonly number[]): Quantiles {
  return { p50: percentile(values, 0.5), p95: percentile(values, 0.95), p99: percentile(values, 0.99) };
}
