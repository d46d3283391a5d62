// One run as it is followed: its record, its events, its timeline. Events come in floods; what is shown changes once per
// frame.

import { type Signal, signal } from '@preact/signals';
import type { Client } from '../../client/client.ts';
import { DifyAgentNotFoundError } from '../../client/errors.ts';
import { isTerminal, type RunEvent, type RunStatusResponse } from '../../client/types.ts';
import { problemOf } from '../api.ts';
import { EventLog } from './event-log.ts';
import { foldTimeline, NO_TIMELINE, type Timeline } from './timeline.ts';

/** `missing`: the server knows no such run. `broken`: the stream gave up; it can be started again. */
export type FeedState = 'loading' | 'streaming' | 'over' | 'missing' | 'broken';

export interface Feed {
  readonly state: Signal<FeedState>;
  readonly problem: Signal<string>;
  readonly record: Signal<RunStatusResponse | null>;
  readonly timeline: Signal<Timeline>;
  readonly log: EventLog;
  /** Grows when the log did. */
  readonly version: Signal<number>;
  /** Follows the run from where it was left. */
  start(): void;
  stop(): void;
}

/** Hidden pages get no frames: then this often, ms. */
const HIDDEN_MS = 250;

export function createFeed(client: () => Client, runId: string): Feed {
  const state = signal<FeedState>('loading');
  const problem = signal('');
  const record = signal<RunStatusResponse | null>(null);
  const timeline = signal(NO_TIMELINE);
  const version = signal(0);
  const log = new EventLog();
  let folded = NO_TIMELINE;
  let scheduled = false;
  let controller: AbortController | null = null;

  const show = (): void => {
    scheduled = false;
    timeline.value = folded;
    version.value += 1;
  };
  const take = (event: RunEvent): void => {
    folded = foldTimeline(folded, event);
    log.push(event);
    if (scheduled) return;
    scheduled = true;
    if (document.hidden) setTimeout(show, HIDDEN_MS);
    else requestAnimationFrame(show);
  };

  const follow = async (signal: AbortSignal): Promise<void> => {
    try {
      record.value = await client().getRun(runId, { signal });
      state.value = 'streaming';
      for await (const event of client().streamEvents(runId, { after: folded.cursor, signal })) {
        take(event);
        if (isTerminal(event)) break;
      }
      record.value = await client().getRun(runId, { signal });
      state.value = 'over';
    } catch (error) {
      if (signal.aborted) return;
      state.value = error instanceof DifyAgentNotFoundError ? 'missing' : 'broken';
      problem.value = problemOf(error);
    }
  };

  return {
    state,
    problem,
    record,
    timeline,
    log,
    version,
    start() {
      controller?.abort();
      controller = new AbortController();
      problem.value = '';
      state.value = 'loading';
      void follow(controller.signal);
    },
    stop() {
      controller?.abort();
    },
  };
}
