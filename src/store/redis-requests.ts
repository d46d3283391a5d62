// What somebody waits for: commands with a deadline, sent again when their reply was lost, and failing soon while the store is
// away. Writes of events do not come this way: they outlive outages (redis-writer.ts).

import { StoreUnavailableError } from '../runs/errors.ts';
import { type Complaints, LinkLostError, RedisRefusal } from './redis-errors.ts';
import type { RedisLink } from './redis-link.ts';
import { runScript, type Script } from './redis-scripts.ts';

/** How long a request waits for an answer, or for a store that has just gone away to come back, ms. */
export const REQUEST_DEADLINE_MS = 2_000;

/**
 * Every command may arrive twice: it must be one that can be repeated.
 * Rejects with StoreUnavailableError, at the latest after REQUEST_DEADLINE_MS; with RedisRefusal when it is about this key.
 * The cause is a LinkDownError or RedisRefusal only if the command was certainly not applied.
 */
export interface Requests {
  ask(command: readonly string[], onLost?: () => void): Promise<unknown>;
  /** `onLost` is called when a reply was lost and the script is sent again: it may have been applied before. */
  run(script: Script, keys: readonly string[], args: readonly string[], onLost?: () => void): Promise<unknown>;
  /** Rejects everything from now on. */
  close(): void;
}

export function createRequests(link: RedisLink, complaints: Complaints): Requests {
  let closed = false;

  async function ask(command: readonly string[], onLost?: () => void): Promise<unknown> {
    const deadline = performance.now() + REQUEST_DEADLINE_MS;
    let lost: LinkLostError | null = null;
    for (;;) {
      if (closed) throw new StoreUnavailableError(lost ?? new Error('the store is closed'));
      // A store that has been away for long is not waited for.
      const patience = Math.min(deadline, (link.downSince ?? deadline) + REQUEST_DEADLINE_MS);
      if (link.connection === null) await link.whenUp(patience - performance.now());
      try {
        return await before(deadline, link.send(command));
      } catch (error) {
        if (error instanceof LinkLostError) {
          lost = error;
          onLost?.();
          if (performance.now() < deadline) continue;
        }
        if (!(error instanceof RedisRefusal)) throw new StoreUnavailableError(lost ?? error);
        if (!error.transient) throw error;
        complaints.about(error, command[0] ?? '');
        if (error.wantsReconnect) link.reset(error);
        throw new StoreUnavailableError(lost ?? error);
      }
    }
  }

  return {
    ask,
    run: (script, keys, args, onLost) => runScript((command) => ask(command, onLost), script, keys, args),
    close() {
      closed = true;
    },
  };
}

/** `work`, or a rejection at the deadline (`performance.now()`); the work goes on. */
export async function before<T>(deadline: number, work: Promise<T>): Promise<T> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(
    () => late.reject(new Error('no answer in time')),
    Math.max(0, deadline - performance.now()),
  );
  try {
    return await Promise.race([work, late.promise]);
  } finally {
    clearTimeout(timer);
    work.catch(() => {});
  }
}
