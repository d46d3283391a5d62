// `npm run test:faults`: the fault suites at length, a quarter of an hour or so. Options: --only NAMES of the sections below,
// --rounds N (default 1) times everything. Ends with 1 at the first thing that is wrong.

import { parseArgs } from 'node:util';
import { playRedisHistories } from '../contract/redis-world.ts';
import { playSqliteHistories } from '../contract/sqlite-world.ts';
import { DAEMON_FAULTS, daemonRound } from './daemon-faults.ts';
import { killRound } from './kill-loop.ts';
import { KILL_POINTS, killAt, LEASE_MS } from './kill-points.ts';
import { killSweep } from './kill-sweep.ts';
import { LOST_REPLIES, lostReplyRound } from './lost-replies.ts';
import { OWNER_FAULTS } from './owners.ts';
import { faults, killWithEverysec } from './redis-faults.ts';
import { redisRound } from './redis-loop.ts';
import { OUTAGES, outageRound } from './redis-outages.ts';
import { STORES, withOwnRedis, withSite } from './site.ts';
import { damagedLogRound, damageRounds, lockedRound } from './sqlite-files.ts';

/** How long Redis is away or stands still. */
const OUTAGE_MS = 20_000;
const KILLS = 50;
const SWEPT_KILLS = { sqlite: 200, redis: 100 } as const;
const DAMAGES = 200;
const SQLITE_HISTORIES = 10_000;
const REDIS_HISTORIES = 600;

type Say = (text: string) => void;

/** One round of each. `round` begins with 1. */
const SECTIONS: Readonly<Record<string, (say: Say, round: number) => Promise<void>>> = {
  async kills(say, round) {
    for (let kill = 1; kill <= KILLS; kill += 1) {
      const number = KILLS * (round - 1) + kill;
      const size = { runs: 1 + ((number * 7) % 20), killAfterEvents: 1 + ((number * 37) % 400) };
      const report = await killRound(size);
      say(`kill -9 ${kill}/${KILLS}: ${report.orphans} orphans, killed after ${report.killedAfterEvents} events`);
    }
  },
  async points(say) {
    for (const store of STORES) {
      for (const point of KILL_POINTS.filter(({ stores }) => stores.includes(store))) {
        const { overAfterMs } = await killAt(point, store);
        mustBeWithinLeases(overAfterMs);
        say(`${store}, killed ${point.name}: over after ${Math.round(overAfterMs)} ms`);
      }
    }
  },
  async sweep(say) {
    for (const store of STORES) {
      const { kills, runs, ends, lostAfter } = await killSweep(store, SWEPT_KILLS[store]);
      say(`${store}: ${kills} kills at any moment, ${runs} runs ${text(ends)}, lost after ${text(lostAfter)}`);
    }
  },
  async owners(say) {
    for (const fault of OWNER_FAULTS) {
      const took = await withSite('redis', {}, (site) => fault.play(site, 20));
      mustBeWithinLeases(took);
      say(`${fault.name}: 20 runs each, over after ${Math.round(took)} ms`);
    }
  },
  async redis(say, round) {
    for (const fault of [...faults(OUTAGE_MS), killWithEverysec]) {
      // Slow streams, fast ones, and as fast as they go.
      const size = { runs: 50, chunks: 200, gapMs: [20, 5, 1][round % 3] ?? 5 };
      const report = await redisRound(fault, size);
      const seen = `${report.seenBefore} seen before and ${report.seenAfter} by the end of it`;
      say(`Redis ${fault.name}: ${report.events} events, ${seen}, ${report.connections} streams`);
    }
  },
  async outages(say) {
    await Promise.all(OUTAGES.map((outage) => outageRound(outage, OUTAGE_MS)));
    say(`Redis for ${OUTAGE_MS / 1000} s ${OUTAGES.map(({ name }) => name).join('; ')}`);
  },
  async replies(say) {
    for (const lost of LOST_REPLIES) {
      await lostReplyRound(lost);
      say(`reply lost: ${lost.name}`);
    }
  },
  async daemon(say) {
    for (const store of STORES) {
      for (const fault of DAEMON_FAULTS) {
        const { seconds, megabytes } = await daemonRound(fault, store);
        say(`${store}, the daemon ${fault.name}: over after ${seconds.toFixed(1)} s, at most ${megabytes} MB`);
      }
    }
  },
  async files(say, round) {
    await lockedRound();
    await damagedLogRound();
    const { refused, served } = await damageRounds(DAMAGES, round);
    say(`${DAMAGES} damaged SQLite files: ${refused} refused on one line, ${served} served honestly`);
  },
  async histories(say, round) {
    const first = (count: number) => 1 + count * (round - 1);
    const onSqlite = await playSqliteHistories(SQLITE_HISTORIES, first(SQLITE_HISTORIES));
    say(`${SQLITE_HISTORIES} random histories on SQLite: ${text(onSqlite)}`);
    const onRedis = await withOwnRedis({}, (redis) =>
      playRedisHistories(redis, REDIS_HISTORIES, first(REDIS_HISTORIES)),
    );
    say(`${REDIS_HISTORIES} random histories on Redis: ${text(onRedis)}`);
  },
};

function mustBeWithinLeases(ms: number): void {
  if (ms > 2 * LEASE_MS)
    throw new Error(`the last run was over after ${Math.round(ms)} ms: two leases are ${2 * LEASE_MS}`);
}

function text(counts: object): string {
  return Object.entries(counts)
    .map(([name, count]) => `${name} ${count}`)
    .join(', ');
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { only: { type: 'string' }, rounds: { type: 'string', default: '1' } } });
  const chosen = values.only?.split(',') ?? Object.keys(SECTIONS);
  const unknown = chosen.find((name) => SECTIONS[name] === undefined);
  if (unknown !== undefined) throw new Error(`no section ${unknown}: ${Object.keys(SECTIONS).join(', ')}`);
  const started = performance.now();
  const rounds = Number(values.rounds);
  for (let round = 1; round <= rounds; round += 1) {
    for (const name of chosen) await SECTIONS[name]?.((said) => console.log(`${name}: ${said}`), round);
  }
  const seconds = ((performance.now() - started) / 1000).toFixed(0);
  console.log(
    `${rounds} × ${chosen.join(', ')} in ${seconds} s: every run ended once, nothing was lost, no secret was told`,
  );
}

if (import.meta.main) void main();
