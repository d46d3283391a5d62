// Looks for sessions that are due: expired ones, clean-ups to be tried again, and runs whose end nobody took in because the process
// that should have died. Every process looks; the store lets one of them do each thing.

import { errorText } from '../base/errors.ts';
import type { Logger } from '../observe/logger.ts';
import type { SessionRows } from './ports.ts';

/** Sessions of one page, and those that are looked at at once. */
const PAGE = 100;
const AT_ONCE = 4;
/** Pages of one sweep: what is due beyond waits for the next. */
const MAX_PAGES = 100;
/** How long a stop waits, ms. */
const STOP_MS = 1_000;

export interface SweepDeps {
  readonly rows: Pick<SessionRows, 'due'>;
  readonly pursue: (key: string) => Promise<unknown>;
  readonly nowMs: () => number;
  readonly everyMs: number;
  readonly logger: Logger;
}

export interface Sweep {
  /** Looks now, then again and again. */
  start(): void;
  /** Resolves when the look that is under way is over, or soon: it may be waiting for a peer. */
  stop(): Promise<void>;
}

export function createSweep({ rows, pursue, nowMs, everyMs, logger }: SweepDeps): Sweep {
  let stopped = false;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let looking: Promise<void> = Promise.resolve();

  async function look(): Promise<void> {
    /** Keys that stay due whatever is done are not looked at twice. */
    const seen = new Set<string>();
    for (let page = 0; page < MAX_PAGES && !stopped; page += 1) {
      const keys = await rows.due(nowMs(), PAGE);
      const fresh = keys.filter((key) => !seen.has(key));
      if (fresh.length === 0) return;
      for (const key of fresh) seen.add(key);
      await Promise.all(Array.from({ length: AT_ONCE }, () => work(fresh)));
      if (keys.length < PAGE) return;
    }
  }

  async function work(keys: string[]): Promise<void> {
    for (let key = keys.pop(); key !== undefined && !stopped; key = keys.pop()) {
      try {
        await pursue(key);
      } catch (error) {
        if (!stopped) logger.warn('a session that is due could not be seen to', { session: key, error });
      }
    }
  }

  function lookLater(): void {
    timer = setTimeout(lookNow, everyMs * (0.75 + Math.random() / 2));
    timer.unref();
  }

  function lookNow(): void {
    looking = look()
      .catch((error: unknown) => {
        if (!stopped) logger.debug('sessions that are due could not be looked for', { error: errorText(error) });
      })
      .then(() => {
        if (!stopped) lookLater();
      });
  }

  return {
    start: lookNow,
    async stop() {
      stopped = true;
      clearTimeout(timer);
      const limit = Promise.withResolvers<void>();
      const late = setTimeout(limit.resolve, STOP_MS);
      await Promise.race([looking, limit.promise]);
      clearTimeout(late);
    },
  };
}
