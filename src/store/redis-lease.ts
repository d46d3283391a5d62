// The lease of this process: one key that runs out unless it is renewed, by the clock of Redis. While it is there, nobody else
// ends the runs of this process. Its value is the number of the connection in use, so that what a dead connection still
// delivers late can be told from what this one sends (lua/create.lua).

import { errorText } from '../base/errors.ts';
import type { Logger } from '../observe/logger.ts';
import { type Complaints, RedisRefusal } from './redis-errors.ts';
import type { OwnerKeys } from './redis-keys.ts';
import type { RedisLink } from './redis-link.ts';
import { runScript, type Scripts } from './redis-scripts.ts';

/** Renewals per lease. More than looks per lease (redis-lost.ts): who lives renews between two looks. */
const RENEWALS_PER_LEASE = 4;

export interface LeaseOptions {
  readonly link: RedisLink;
  readonly scripts: Scripts;
  readonly ownerId: string;
  readonly keys: OwnerKeys;
  /** Length of the lease, ms. */
  readonly leaseMs: number;
  /** Time to live of the sets of owners and runs, ms. */
  readonly indexTtlMs: number;
  /** After each renewal: it may have come too late, and others have ended runs of this process. */
  readonly onRenewed: () => void;
  readonly logger: Logger;
  readonly complaints: Complaints;
}

/** The lease as it is seen from outside. */
export interface LeaseFigures {
  /** It was renewed within its length, as far as this process knows. */
  readonly held: boolean;
  /** Renewals that succeeded and that failed, and how often it turned out to have run out. */
  readonly renewed: number;
  readonly failed: number;
  readonly lost: number;
}

export interface Lease {
  readonly figures: LeaseFigures;
  /** The number of the connection in use, as text. */
  readonly epoch: string;
  /** The lease was taken through the connection in use: older connections cannot create runs any more. */
  readonly confirmed: boolean;
  /** A new connection is there. */
  up(): void;
  down(): void;
  /** Renews now; false when that failed. Never rejects. */
  renew(): Promise<boolean>;
  /** Stops renewing. */
  stop(): void;
  /** Gives the lease back. Rejects when that failed; it runs out then. */
  release(): Promise<void>;
}

/** Takes the lease through the link's connection, and keeps it. */
export function createLease(options: LeaseOptions): Lease {
  const { link, scripts, ownerId, keys, leaseMs, logger } = options;
  const allKeys = [keys.lease, keys.owners, keys.index];
  const send = (command: readonly string[]) => link.send(command);
  let connections = 1;
  let confirmed = false;
  let taken = false;
  let stopped = false;
  let renewing: Promise<boolean> | null = null;
  let [renewed, failed, lost] = [0, 0, 0];
  let renewedAt = Number.NEGATIVE_INFINITY;

  const timer = setInterval(() => void (renewing ?? start()), leaseMs / RENEWALS_PER_LEASE);
  timer.unref();

  function start(): Promise<boolean> {
    const work = renewNow().finally(() => {
      if (renewing === work) renewing = null;
    });
    renewing = work;
    return work;
  }

  async function renewNow(): Promise<boolean> {
    const epoch = connections;
    const asked = performance.now();
    try {
      const args = [String(leaseMs), String(epoch), ownerId, String(options.indexTtlMs)];
      const there = (await runScript(send, scripts.lease, allKeys, args)) === 1;
      if (stopped || epoch !== connections) return false;
      if (taken && !there) logger.warn('the lease of this process had run out; its runs may have been ended by others');
      if (taken && !there) lost += 1;
      taken = true;
      confirmed = true;
      renewed += 1;
      renewedAt = asked;
      options.onRenewed();
      return true;
    } catch (error) {
      failed += 1;
      if (error instanceof RedisRefusal) options.complaints.about(error, 'lease');
      else logger.debug('the lease could not be renewed', { reason: errorText(error) });
      return false;
    }
  }

  void start();

  return {
    figures: {
      get held() {
        return performance.now() - renewedAt < leaseMs;
      },
      get renewed() {
        return renewed;
      },
      get failed() {
        return failed;
      },
      get lost() {
        return lost;
      },
    },
    get epoch() {
      return String(connections);
    },
    get confirmed() {
      return confirmed;
    },
    up() {
      connections += 1;
      confirmed = false;
      void start();
    },
    down() {
      confirmed = false;
    },
    // One that is on its way was sent after whatever its caller has heard of.
    renew: () => renewing ?? start(),
    stop() {
      stopped = true;
      clearInterval(timer);
    },
    async release() {
      await runScript(send, scripts.release, allKeys, [ownerId]);
    },
  };
}
