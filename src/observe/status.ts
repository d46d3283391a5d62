// What this process is doing now, for people and for the console: /internal/status. Told from what was counted and seen; nobody
// is asked for it. Bounded, whatever runs: the oldest active runs alone are listed.

import { rfc3339 } from '../base/clock.ts';
import type { LoopDelay } from './metrics/event-loop.ts';
import type { Meter } from './metrics/meter.ts';
import type { PeerSight } from './metrics/peers.ts';
import type { ActiveRun, RunPhase } from './metrics/runs.ts';
import type { SlotFigures, Sources } from './metrics/sources.ts';

/** Active runs that are listed; the rest is counted. */
export const MAX_LISTED = 100;
/** Characters of a tenant's name; it is the caller's text. */
const MAX_TENANT = 128;

/** An active run. */
export interface RunStatusItem {
  readonly run_id: string;
  /** Of its execution context, cut at 128 characters; null: it has none. */
  readonly tenant_id: string | null;
  readonly phase: RunPhase;
  /** Since its creation. */
  readonly age_seconds: number;
  /** Since it does what `phase` says. */
  readonly phase_seconds: number;
  readonly layers: number;
  readonly model_requests: number;
  readonly tool_calls: number;
  readonly events: number;
}

/** A peer as this process saw it last. Times are RFC 3339. */
export interface PeerStatus {
  readonly peer: string;
  /** By what came last: an answer, or a failure; `unknown`: nobody has asked it yet. */
  readonly state: 'ok' | 'failing' | 'unknown';
  readonly last_answer_at: string | null;
  /** HTTP status of that answer. */
  readonly last_status: number | null;
  readonly last_failure_at: string | null;
  /** A code, e.g. `connect_failed`, or `http_503`. */
  readonly last_failure: string | null;
  readonly last_failed_operation: string | null;
  /** Null where they are not known. */
  readonly connections: { readonly active: number; readonly waiting: number; readonly limit: number } | null;
}

/** The answer of `GET /internal/status`. */
export interface StatusReport {
  readonly version: string;
  readonly wire: string;
  /** RFC 3339. */
  readonly started_at: string;
  readonly uptime_seconds: number;
  /** It takes no runs any more. */
  readonly stopping: boolean;
  readonly store: {
    /** Without credentials. */
    readonly description: string;
    /** Null: this store needs none. */
    readonly lease: { readonly held: boolean; readonly losses: number } | null;
  };
  readonly runs: {
    readonly active: number;
    readonly limit: number;
    readonly phases: Readonly<Record<RunPhase, number>>;
    /** Since the start, by outcome. */
    readonly ended: Readonly<Record<'succeeded' | 'failed' | 'cancelled' | 'lost', number>>;
    /** Creations since the start that were refused. */
    readonly refused: number;
    /** At most 100. */
    readonly oldest: readonly RunStatusItem[];
  };
  readonly streams: { readonly open: number; readonly behind: number; readonly stuck: number };
  readonly peers: readonly PeerStatus[];
  /** Type ids that compositions may use here, e.g. `dify.plugin.llm`. */
  readonly layer_types: readonly string[];
  readonly process: {
    readonly pid: number;
    readonly rss_bytes: number;
    readonly heap_used_bytes: number;
    readonly cpu_seconds: number;
    /** The longest of the last minute; null: it is not measured. */
    readonly event_loop_delay_max_seconds: number | null;
  };
}

/** The report at this moment. `loop` null: nobody measures. */
export function statusReport(meter: Meter, sources: Sources, loop: LoopDelay | null): StatusReport {
  const { identity, lease } = sources;
  const now = performance.now();
  const { open, behind, stuck } = sources.streams();
  const { rss, heapUsed } = process.memoryUsage();
  const { user, system } = process.cpuUsage();
  return {
    version: identity.version,
    wire: identity.wire,
    started_at: rfc3339(identity.startedAtMs * 1000),
    uptime_seconds: seconds(now - identity.startedAt),
    stopping: sources.stopping(),
    store: {
      description: identity.storeDescription,
      lease: lease && { held: lease.held, losses: lease.lost },
    },
    runs: runsOf(meter, sources.maxActiveRuns, now),
    streams: { open, behind, stuck },
    peers: peersOf(meter, sources.slots()),
    layer_types: identity.layerTypes,
    process: {
      pid: process.pid,
      rss_bytes: rss,
      heap_used_bytes: heapUsed,
      cpu_seconds: (user + system) / 1e6,
      event_loop_delay_max_seconds: loop && seconds(loop.recentMax * 1000),
    },
  };
}

function runsOf({ runs }: Meter, limit: number, now: number): StatusReport['runs'] {
  const phases = { queued: 0, starting: 0, model: 0, tool: 0, exiting: 0 };
  const oldest: RunStatusItem[] = [];
  for (const run of runs.active) {
    phases[run.phase] += 1;
    if (oldest.length < MAX_LISTED) oldest.push(itemOf(run, now));
  }
  const ended = { succeeded: 0, failed: 0, cancelled: 0, lost: 0 };
  for (const { labels, value } of runs.ended.series) {
    const [outcome = ''] = labels;
    if (isOutcome(outcome)) ended[outcome] += value.total;
  }
  const refused = runs.refused.series.reduce((sum, { value }) => sum + value.total, 0);
  return { active: runs.active.size, limit, phases, ended, refused, oldest };
}

function isOutcome(text: string): text is keyof StatusReport['runs']['ended'] {
  return text === 'succeeded' || text === 'failed' || text === 'cancelled' || text === 'lost';
}

function itemOf(run: ActiveRun, now: number): RunStatusItem {
  const { runId, tenantId, layers } = run.facts;
  return {
    run_id: runId,
    tenant_id: tenantId?.slice(0, MAX_TENANT).toWellFormed() ?? null,
    phase: run.phase,
    age_seconds: seconds(now - run.since),
    phase_seconds: seconds(now - run.phaseSince),
    layers,
    model_requests: run.modelRequests,
    tool_calls: run.toolCalls,
    events: run.events,
  };
}

/** Those that are configured, and those that were met. */
function peersOf({ peers }: Meter, slots: readonly SlotFigures[]): readonly PeerStatus[] {
  const names = new Set([...slots.map(({ peer }) => peer), ...peers.sights.keys()]);
  return [...names].map((peer) => {
    const places = slots.find((slot) => slot.peer === peer);
    const sight = peers.sights.get(peer);
    return {
      peer,
      state: stateOf(sight),
      last_answer_at: timeOf(sight?.lastAnswerAt),
      last_status: sight?.lastStatus ?? null,
      last_failure_at: timeOf(sight?.lastFailureAt),
      last_failure: sight?.lastFailure ?? null,
      last_failed_operation: sight?.lastFailedOperation ?? null,
      connections:
        places === undefined ? null : { active: places.active, waiting: places.waiting, limit: places.limit },
    };
  });
}

function stateOf(sight: PeerSight | undefined): PeerStatus['state'] {
  if (sight === undefined || (sight.lastAnswerAt === null && sight.lastFailureAt === null)) return 'unknown';
  return sight.failing ? 'failing' : 'ok';
}

function timeOf(ms: number | null | undefined): string | null {
  return ms === null || ms === undefined ? null : rfc3339(ms * 1000);
}

/** Milliseconds as seconds, to the millisecond. */
function seconds(ms: number): number {
  return Math.round(ms) / 1000;
}
