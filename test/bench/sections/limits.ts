// The machine's limits, measured in the same run as the server's figures (floor-measures.ts, redis-floor.ts).

import { bareHttp, sqliteInserts } from '../floor-measures.ts';
import { floor } from '../redis-floor.ts';
import type { Sections } from '../section.ts';
import { LONGEST_RUN_EVENTS } from '../store-measures.ts';

export const limitSections: Sections = {
  http: {
    stores: 'none',
    async measure({ repeat, report, size }) {
      const results = await repeat(() => bareHttp(size(10_000, 100), size(LONGEST_RUN_EVENTS, 500)));
      const shared = { model: 'no model', unit: '/s' } as const;
      const driver = '50 at once, no server of ours';
      report({
        ...{ ...shared, id: 'floor.posts', name: 'limit: bare Elysia, POST', driver },
        blocks: results.map(({ posts }) => posts),
      });
      report({
        ...{ ...shared, id: 'floor.runs', name: 'limit: bare Elysia, POST + SSE of five frames', driver },
        blocks: results.map(({ runs }) => runs),
      });
      report({
        ...{ ...shared, id: 'floor.run', name: 'limit: the same, one at a time', unit: 'ms' },
        driver: 'one at a time, no server of ours',
        blocks: results.map(({ runMs }) => runMs),
      });
      report({
        ...{ ...shared, id: 'floor.frames', name: 'limit: bare Bun.serve, frames of one SSE stream' },
        driver: 'one reader, no server of ours',
        blocks: results.map(({ frames }) => frames),
      });
    },
  },
  floor: {
    stores: ['sqlite', 'redis'],
    async measure({ store: { redis }, repeat, report, size }) {
      const shared = { model: 'no model', unit: 'events/s' } as const;
      const driver = 'writes of 50 runs, no server of ours';
      if (redis === null) {
        report({
          ...{ ...shared, driver, id: 'floor.append', name: 'limit: raw SQLite inserts, 500 per transaction' },
          blocks: await repeat(() => sqliteInserts(size(100_000, 1_000))),
        });
        return;
      }
      const results = await repeat(() => floor(redis, size(200_000, 2_000)));
      report({
        ...{ ...shared, driver, id: 'floor.xadd', name: 'limit: raw pipelined XADD' },
        blocks: results.map(({ pipelined }) => pipelined),
      });
      report({
        ...{ ...shared, driver, id: 'floor.append', name: 'limit: raw append script, ten events each' },
        blocks: results.map(({ scripted }) => scripted),
      });
    },
  },
};
