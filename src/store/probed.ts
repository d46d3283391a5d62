// What the store tells a probe: each operation that a request or a run waits for. Appends are told by who makes them
// (runs/sink.ts), together with how many events were in them.

import { NO_PROBE, type Probe, type StoreOperation } from '../observe/probe.ts';
import type { RunStore } from '../runs/ports.ts';

const KEPT = { failed: false };
const FAILED = { failed: true };

/** The same store, told of. Whatever else it can do it still can. */
export function probed<Store extends RunStore>(store: Store, probe: Probe): Store {
  if (probe === NO_PROBE) return store;

  function told<T>(operation: StoreOperation, work: () => Promise<T>): Promise<T> {
    const scope = probe.store(operation);
    const done = scope.within(work);
    done.then(
      () => scope.end(KEPT),
      () => scope.end(FAILED),
    );
    return done;
  }

  return {
    ...store,
    create: (...args) => told('create', () => store.create(...args)),
    finalise: (runId, transition) => told('finalise', () => store.finalise(runId, transition)),
    requestCancel: (runId, intent) => told('cancel', () => store.requestCancel(runId, intent)),
    listLost: () => told('sweep', () => store.listLost()),
    finaliseLost: (runId, transition) => told('finalise', () => store.finaliseLost(runId, transition)),
    getRecord: (runId) => told('read', () => store.getRecord(runId)),
    readEvents: (runId, after, limit) => told('read', () => store.readEvents(runId, after, limit)),
  } satisfies RunStore as Store; // the spread keeps what Store has beyond a RunStore
}
