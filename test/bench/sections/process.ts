// Sections about the process: how soon it answers, what it weighs, how soon it lets go, how soon others notice that it is gone.

import { statSync } from 'node:fs';
import { ensureBinary } from '../../support/binary.ts';
import { ofSamples } from '../figures.ts';
import { activeRuns, idleMemory, idleStreams, startUp } from '../measures.ts';
import { cancelTimes, cancelTimesAcross, ownerDeath, restartAfterDeath } from '../reliability-measures.ts';
import type { Sections } from '../section.ts';

const BOTH = ['sqlite', 'redis'] as const;
const SCRIPTED = 'scripted model';

export const processSections: Sections = {
  start: {
    stores: BOTH,
    async measure({ store, blocks, report }) {
      const starts = async (path: string): Promise<readonly number[]> => {
        const values: number[] = [];
        for (let left = Math.max(1, 3 * blocks); left > 0; left -= 1) values.push(await startUp(store, path));
        return values;
      };
      const shared = { model: 'no model', driver: 'spawns the binary, asks until it answers', unit: 'ms' } as const;
      report({
        ...shared,
        id: 'start',
        name: 'start to first 200 (/healthz)',
        blocks: await starts('/healthz'),
      });
      const name = 'start to first 200 of /openapi.json';
      report({ ...shared, id: 'start.openapi', name, blocks: await starts('/openapi.json') });
      const megabytes = statSync(store.binary ?? (await ensureBinary())).size / 2 ** 20;
      report({ ...shared, id: 'binary', name: 'size of the binary', unit: 'MB', driver: 'none', blocks: [megabytes] });
    },
  },
  idle: {
    stores: BOTH,
    async measure({ store, repeat, report }) {
      report({
        ...{ id: 'idle', name: 'RSS idle', unit: 'MB', model: 'no model', driver: 'waits until it is ready' },
        blocks: await repeat(() => idleMemory(store)),
      });
    },
  },
  active: {
    stores: ['sqlite'],
    async measure({ store, repeat, report, size }) {
      const results = await repeat(() => activeRuns(size(10_000, 20), store));
      const shared = { unit: 'KB', model: SCRIPTED, driver: 'POSTs one after the other, no readers' } as const;
      report({
        ...{ ...shared, id: 'active', name: 'RSS per active run, from 1,000 to 10,000' },
        blocks: results.map(({ more }) => more),
      });
      report({
        ...{ ...shared, id: 'active.first', name: 'RSS per active run, the first 1,000' },
        blocks: results.map(({ first }) => first),
      });
    },
  },
  streams: {
    stores: ['sqlite'],
    async measure({ store, repeat, report, size }) {
      report({
        ...{ id: 'streams', name: 'RSS for 1,000 idle SSE streams', unit: 'MB', model: SCRIPTED },
        driver: '1,000 SSE readers of one silent run',
        blocks: await repeat(() => idleStreams(size(1_000, 20), store)),
      });
    },
  },
  cancel: {
    stores: BOTH,
    async measure({ store, report, size }) {
      const shared = { model: 'fake daemon', unit: 'ms' } as const;
      const driver = 'POSTs a run, waits for its first chunk, cancels it';
      const samples = size(30, 3);
      report({
        ...{ ...shared, id: 'cancel', name: 'cancel → upstream socket closed', driver, limit: { below: 50 } },
        ...ofSamples(await cancelTimes(store, samples)),
      });
      if (store.redis === null) return;
      report({
        ...{ ...shared, id: 'cancel.across', name: 'the same, through another process', driver, limit: { below: 150 } },
        ...ofSamples(await cancelTimesAcross(store, samples)),
      });
    },
  },
  kill: {
    stores: BOTH,
    async measure({ store, repeat, report, size }) {
      const shared = { id: 'kill', model: SCRIPTED } as const;
      if (store.redis === null) {
        report({
          ...{ ...shared, name: 'kill -9 → restarted at once → runs over', unit: 'ms' },
          driver: '20 active runs; asks until all are over',
          blocks: await repeat(() => restartAfterDeath(size(20, 3))),
        });
        return;
      }
      report({
        ...{ ...shared, name: 'kill -9 → runs over, by another process', unit: 'leases', limit: { below: 2 } },
        driver: '20 active runs with an SSE reader each at the other process; lease 2 s',
        blocks: await repeat(() => ownerDeath(store, 2, size(20, 2))),
      });
    },
  },
};
