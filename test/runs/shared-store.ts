// A RunStore in memory that several processes share: leases by hand instead of by time, everything else as runs/ports.ts says.
// For what needs two processes or a store that is told when to fail; nothing expires and nothing is trimmed.

import { compareEventIds, type EventId } from '../../src/base/cursor.ts';
import type { RunRecord } from '../../src/protocol/runs.ts';
import type {
  CancelIntent,
  Deduplication,
  FinaliseOutcome,
  OwnRunsWatcher,
  RunStore,
  StoredEvent,
  TerminalTransition,
} from '../../src/runs/ports.ts';

interface Run {
  record: RunRecord;
  readonly owner: Process;
  readonly events: StoredEvent[];
  readonly deduplication: Deduplication | null;
  cancel: CancelIntent | null;
}

interface Process {
  alive: boolean;
  watcher: OwnRunsWatcher | null;
}

/** One process's side of the store. */
export interface StoreProcess {
  readonly store: RunStore;
  /** Its lease runs out: its runs are lost. */
  pause(): void;
  /** It wakes up and is told what became of its runs. */
  wake(): void;
}

/** What the processes share. */
export interface SharedStore {
  process(): StoreProcess;
}

/** Empty. `recoveryIntervalMs`: of all processes. */
export function sharedStore(options: { readonly recoveryIntervalMs?: number | null } = {}): SharedStore {
  const { recoveryIntervalMs = null } = options;
  const runs = new Map<string, Run>();
  let lastId = 0;

  function addEvent(run: Run, payload: string): StoredEvent {
    lastId += 1;
    const event: StoredEvent = { id: `${lastId}-0`, payload };
    run.events.push(event);
    return event;
  }

  function finalise(run: Run | undefined, transition: TerminalTransition): FinaliseOutcome {
    const { status, updatedAt, error, payload } = transition;
    if (run === undefined) return { applied: false, status: null, cancel: null };
    if (run.record.status !== 'running') return { applied: false, status: run.record.status, cancel: null };
    if ((status === 'cancelled') !== (run.cancel !== null)) {
      return { applied: false, status: 'running', cancel: run.cancel };
    }
    run.record = { ...run.record, status, updated_at: updatedAt, error };
    run.cancel = null;
    return { applied: true, event: addEvent(run, payload) };
  }

  function storeOf(self: Process): RunStore {
    return {
      description: 'memory',
      recoveryIntervalMs,
      async create(record, deduplication = null) {
        if (deduplication !== null) {
          const { key, fingerprint, strict } = deduplication;
          const same = [...runs.values()].filter((run) => run.deduplication?.key === key);
          const existing = same.find((run) => run.deduplication?.fingerprint === fingerprint);
          if (existing !== undefined) return { created: false, existing: existing.record };
          if (strict && same.length > 0) return { created: false, existing: null };
        }
        runs.set(record.run_id, { record, owner: self, events: [], deduplication, cancel: null });
        return { created: true };
      },
      async append(runId, payloads) {
        const run = runs.get(runId);
        if (run?.record.status !== 'running') return { appended: false, status: run?.record.status ?? null };
        return { appended: true, events: payloads.map((payload) => addEvent(run, payload)) };
      },
      finalise: async (runId, transition) => finalise(runs.get(runId), transition),
      async requestCancel(runId, intent) {
        const run = runs.get(runId);
        if (run === undefined) return { accepted: false, status: null };
        const { status } = run.record;
        if (status === 'cancelled') return { accepted: true, status };
        if (status !== 'running') return { accepted: false, status };
        if (run.cancel === null) {
          run.cancel = intent;
          if (run.owner.alive) run.owner.watcher?.cancelRequested(runId, intent);
        }
        return { accepted: true, status };
      },
      watchOwn(watcher) {
        self.watcher = watcher;
      },
      async listLost() {
        const lost = [...runs.values()].filter((run) => run.record.status === 'running' && !run.owner.alive);
        return lost.map((run) => run.record.run_id);
      },
      async finaliseLost(runId, transition) {
        const run = runs.get(runId);
        if (run?.record.status === 'running' && run.owner.alive) {
          return { applied: false, status: 'running', cancel: null };
        }
        return finalise(run, transition);
      },
      getRecord: async (runId) => runs.get(runId)?.record ?? null,
      async readEvents(runId, after: EventId, limit) {
        const events = runs.get(runId)?.events ?? [];
        return events.filter(({ id }) => compareEventIds(id, after) > 0).slice(0, limit);
      },
      async ping() {},
      async close() {},
    };
  }

  return {
    process() {
      const self: Process = { alive: true, watcher: null };
      return {
        store: storeOf(self),
        pause() {
          self.alive = false;
        },
        wake() {
          self.alive = true;
          for (const [runId, run] of runs) {
            if (run.owner !== self) continue;
            if (run.record.status !== 'running') self.watcher?.endedElsewhere(runId);
            else if (run.cancel !== null) self.watcher?.cancelRequested(runId, run.cancel);
          }
        },
      };
    },
  };
}
