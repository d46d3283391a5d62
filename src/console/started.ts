// The requests of the runs that were started from this page, and the one that is being written, kept in memory while it is
// open: a server does not give a composition back, and a run that asked its human is resumed with it.

import { type Signal, signal } from '@preact/signals';
import type { CreateRunRequest } from '../client/types.ts';
import type { Draft } from './compose/draft.ts';

/** Requests that are kept; the oldest are forgotten. */
const MAX_KEPT = 50;

export interface Started {
  /** Newest last. */
  readonly runs: Signal<readonly StartedRun[]>;
  /** The document of the compose screen, as it was left: its text, whether that is JSON or not, and its credentials. Null: none. */
  readonly draft: Signal<Draft | null>;
  remember(runId: string, request: CreateRunRequest): void;
  requestOf(runId: string): CreateRunRequest | null;
}

export interface StartedRun {
  readonly runId: string;
  readonly request: CreateRunRequest;
}

export function createStarted(): Started {
  const runs = signal<readonly StartedRun[]>([]);
  return {
    runs,
    draft: signal(null),
    remember(runId, request) {
      runs.value = [...runs.value.filter((run) => run.runId !== runId), { runId, request }].slice(-MAX_KEPT);
    },
    requestOf: (runId) => runs.value.find((run) => run.runId === runId)?.request ?? null,
  };
}
