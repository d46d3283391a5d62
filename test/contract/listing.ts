// The part of the store contract about lists of runs: order, pages, filters, what is shown, and that a list never shows what is
// not there.

import { describe, expect, test } from 'bun:test';
import { newRunId } from '../../src/base/ids.ts';
import type { RunComposition, RunRecord } from '../../src/protocol/runs.ts';
import type { EndFacts, ListedRun, RunListPage, RunListQuery } from '../../src/runs/ports.ts';
import { applied, type Contract, cancel, digest, intentOf, RETENTION, type Traits, terminal } from './kit.ts';

const ALL: RunListQuery = { statuses: [], tenant: null, prefix: null, after: null, limit: 50 };
const FACTS: EndFacts = { reason: null, errorType: null, usage: { promptTokens: 13, completionTokens: 8 } };
const SECRET = 'sk-never-listed';

/** A composition on behalf of a tenant; null: of nobody. */
function compositionOf(tenant: string | null): RunComposition {
  const layer = (name: string, type: string, config: RunComposition['layers'][number]['config'], deps = {}) => ({
    name,
    type,
    deps,
    metadata: {},
    config,
  });
  const context = tenant === null ? [] : [layer('context', 'dify.execution_context', { tenant_id: tenant })];
  const model = { execution_context: 'context' };
  return {
    schema_version: 1,
    layers: [
      layer('prompt', 'plain.prompt', { user: SECRET }),
      ...context,
      layer('llm', 'dify.plugin.llm', { credentials: { key: SECRET } }, tenant === null ? {} : model),
    ],
  };
}

/** A record that was created so many microseconds after the epoch of these tests. */
function recordAt(micros: number, runId = newRunId()): RunRecord {
  const at = `2026-06-02T08:15:30.${String(micros).padStart(6, '0')}Z`;
  return { run_id: runId, status: 'running', created_at: at, updated_at: at, error: null };
}

export function describeListing(contract: Contract, traits: Traits): void {
  describe('listing', () => {
    const lister = () => {
      const { lister: found } = contract.harness;
      if (found === null) throw new Error('no lister');
      return found;
    };
    async function page(query: Partial<RunListQuery> = {}): Promise<RunListPage> {
      const found = await lister().listRuns({ ...ALL, ...query });
      if (found === null) throw new Error('the cursor was refused');
      return found;
    }
    const idsOf = (runs: readonly ListedRun[]) => runs.map(({ record }) => record.run_id);
    const ids = async (query: Partial<RunListQuery> = {}) => idsOf((await page(query)).runs);

    /** Everything, page by page. */
    async function walk(query: Partial<RunListQuery> = {}): Promise<readonly string[]> {
      const found: string[] = [];
      for (let after: string | null = null; ; ) {
        const { runs, nextAfter }: RunListPage = await page({ limit: 7, ...query, after });
        expect(runs.length).toBeLessThanOrEqual(query.limit ?? 7);
        found.push(...idsOf(runs));
        if (nextAfter === null) return found;
        after = nextAfter;
      }
    }

    let micros = 0;
    async function start(tenant: string | null = null, runId = newRunId()): Promise<string> {
      micros += 1;
      const record = recordAt(micros, runId);
      expect(await contract.store.create(record, null, compositionOf(tenant))).toEqual({ created: true });
      return record.run_id;
    }
    const starting = async (count: number, tenant: string | null = null) => {
      const started: string[] = [];
      for (let i = 0; i < count; i += 1) started.unshift(await start(tenant));
      return started;
    };

    test('of nothing is an empty page', async () => {
      expect(await page()).toEqual({ runs: [], nextAfter: null });
    });

    test('shows the newest first, each as it is now, and of its composition names and types alone', async () => {
      const [older, newer] = [await start('tenant-1'), await start()];
      applied(await contract.store.finalise(older, { ...terminal(older, 'succeeded'), facts: FACTS }));
      const { runs, nextAfter } = await page();
      expect(nextAfter).toBeNull();
      expect(JSON.stringify(runs)).not.toContain(SECRET);
      expect(runs).toEqual([
        {
          record: (await contract.store.getRecord(newer)) as RunRecord, // it is there
          outline: {
            tenantId: null,
            layers: [
              { name: 'prompt', type: 'plain.prompt' },
              { name: 'llm', type: 'dify.plugin.llm' },
            ],
            layersOmitted: 0,
          },
          facts: null,
        },
        {
          record: (await contract.store.getRecord(older)) as RunRecord, // it is there
          outline: {
            tenantId: 'tenant-1',
            layers: [
              { name: 'prompt', type: 'plain.prompt' },
              { name: 'context', type: 'dify.execution_context' },
              { name: 'llm', type: 'dify.plugin.llm', deps: { execution_context: 'context' } },
            ],
            layersOmitted: 0,
          },
          facts: FACTS,
        },
      ]);
      expect(runs.map(({ record }) => record.status)).toEqual(['running', 'succeeded']);
    });

    test('tells how a run ended: reason, error type, error', async () => {
      const [failed, cancelled] = [await start(), await start()];
      const facts = { reason: 'shutdown', errorType: 'agent_run_limit_exceeded', usage: null };
      applied(await contract.store.finalise(failed, { ...terminal(failed, 'failed', 'it broke'), facts }));
      await cancel(contract.store, cancelled, intentOf('user_cancelled'));
      const { runs } = await page();
      expect(runs.map(({ record, facts: told }) => [record.status, record.error, told])).toEqual([
        ['cancelled', 'user_cancelled', null],
        ['failed', 'it broke', facts],
      ]);
    });

    test('pages lead to each other, whatever their length', async () => {
      const started = await starting(23);
      for (const limit of [1, 7, 22, 23, 24, 500]) expect(await walk({ limit })).toEqual(started);
      const { runs, nextAfter } = await page({ limit: 23 });
      expect([runs.length, nextAfter]).toEqual([23, null]);
    });

    test('runs that come while somebody pages through are not met, and none is met twice', async () => {
      const started = await starting(20);
      const seen: string[] = [];
      let after: string | null = null;
      do {
        const [{ runs, nextAfter }]: [RunListPage, ...unknown[]] = await Promise.all([
          page({ limit: 3, after }),
          start('tenant-1'),
          start(),
        ]);
        seen.push(...idsOf(runs));
        after = nextAfter;
      } while (after !== null);
      // The first page may have been read between two of them.
      expect(seen.slice(-20)).toEqual(started);
      expect(new Set(seen).size).toBe(seen.length);
    });

    test('a page goes on where a run was that has been removed since', async () => {
      const [, second, ...rest] = await starting(5);
      const { nextAfter } = await page({ limit: 2 });
      applied(await contract.store.finalise(second ?? '', terminal(second ?? '', 'succeeded')));
      await contract.harness.passTime(RETENTION + 1);
      // On a store whose running runs expire as well there is nothing left.
      const left = (await contract.store.getRecord(rest[0] ?? '')) === null ? [] : rest;
      expect(await ids({ after: nextAfter })).toEqual(left);
    });

    test('of many runs of the same microsecond shows each once', async () => {
      const same = Array.from({ length: 30 }, () => recordAt(77));
      await Promise.all(same.map((record) => contract.store.create(record, null, compositionOf(null))));
      const seen = await walk({ limit: 4 });
      expect(seen.toSorted()).toEqual(same.map(({ run_id }) => run_id).toSorted());
    });

    test('filters by status, one or several, and by tenant, together and alone', async () => {
      const started: { id: string; tenant: string | null; status: string }[] = [];
      for (let i = 0; i < 24; i += 1) {
        const tenant = [null, 'a', 'b'][i % 3] ?? null;
        const status = (['running', 'succeeded', 'failed', 'cancelled'] as const)[Math.floor(i / 3) % 4] ?? 'running';
        const id = await start(tenant);
        if (status === 'cancelled') await cancel(contract.store, id);
        else if (status !== 'running') applied(await contract.store.finalise(id, terminal(id, status)));
        started.unshift({ id, tenant, status });
      }
      for (const tenant of [null, 'a', 'b', 'c']) {
        for (const statuses of [
          [],
          ['running'],
          ['failed'],
          ['succeeded', 'cancelled'],
          ['running', 'succeeded', 'failed', 'cancelled'],
        ] as const) {
          const wanted = started
            .filter((run) => tenant === null || run.tenant === tenant)
            .filter((run) => statuses.length === 0 || (statuses as readonly string[]).includes(run.status));
          for (const limit of [2, 50]) {
            expect(await walk({ tenant, statuses, limit })).toEqual(wanted.map(({ id }) => id));
          }
        }
      }
    });

    test('finds runs by the beginning of their ids', async () => {
      const few = '5eed0000';
      const one = await start('a', `${few}-9c0f-4b0e-9a54-0b3a8f6a2c11`);
      const two = await start('b', `${few}-9c0f-4b0e-9a54-0b3a8f6a2c12`);
      const others = await starting(10);
      for (const prefix of ['5eed', few, two.slice(0, -1)])
        expect(await walk({ prefix, limit: 1 })).toEqual([two, one]);
      expect(await walk({ prefix: one })).toEqual([one]);
      expect(await walk({ prefix: few, tenant: 'a' })).toEqual([one]);
      expect(await walk({ prefix: few, statuses: ['failed'] })).toEqual([]);
      expect(await walk({ prefix: one, statuses: ['failed'] })).toEqual([]);
      expect(await walk({ prefix: one, tenant: 'b' })).toEqual([]);
      expect(await walk({ prefix: '' })).toEqual([...others, two, one]);
      for (const prefix of [
        '%',
        '_',
        '*',
        "5eed'",
        '\u0000',
        '5eed0000\u0000',
        '\uffff',
        '\u{10ffff}',
        'x'.repeat(64),
      ]) {
        expect(await walk({ prefix })).toEqual([]);
      }
    });

    test('takes a tenant for what it is, however it is spelt', async () => {
      const names = ['a:b', '*', "o'neill", 'é\u0000ü', '\ud800', 'x'.repeat(5_000), '{"a":1}', '-', '\n'];
      const started = new Map<string, string>();
      for (const name of names) started.set(name, await start(name));
      await start();
      await start(''); // an empty name is no tenant's: as without one
      expect(idsOf((await page({ tenant: '' })).runs)).toEqual([]);
      for (const name of names) {
        const { runs } = await page({ tenant: name });
        expect(idsOf(runs)).toEqual([started.get(name) ?? '']);
        expect((runs[0]?.outline?.tenantId ?? '').length).toBeLessThanOrEqual(128);
      }
    });

    test('bounds what callers said', async () => {
      const runId = newRunId();
      const layer = (i: number) => ({ name: `${i} ${'n'.repeat(1_000)}`, type: 't'.repeat(1_000), deps: {} });
      const layers = Array.from({ length: 200 }, (_, i) => ({ ...layer(i), metadata: {}, config: null }));
      await contract.store.create(recordAt(99, runId), null, { schema_version: 1, layers });
      const facts = { reason: 'r'.repeat(10_000), errorType: null, usage: null };
      const error = `"\\\n\ud83d${'é"\\'.repeat(100_000)}`;
      applied(await contract.store.finalise(runId, { ...terminal(runId, 'failed', error), facts }));
      const { runs } = await page();
      const [run] = runs;
      expect(run?.record.error).toHaveLength(2_000);
      expect(run?.record.error).toStartWith('"\\\n\ufffdé"\\é"\\');
      expect(run?.record.error).toEndWith('…');
      expect(run?.facts?.reason).toHaveLength(128);
      const { layers: shown = [], layersOmitted = 0 } = run?.outline ?? {};
      expect(shown.length).toBeGreaterThan(10);
      expect(shown.length + layersOmitted).toBe(200);
      expect(Buffer.byteLength(JSON.stringify(run))).toBeLessThan(16_384);
    });

    test('a page of runs with very long errors may be shorter than asked for, and leads on', async () => {
      const started = await starting(12);
      const error = 'é'.repeat(1_000_000);
      for (const id of started) applied(await contract.store.finalise(id, terminal(id, 'failed', error)));
      expect(await walk({ limit: 50 })).toEqual(started);
      expect(await walk({ statuses: ['failed'], limit: 5 })).toEqual(started);
    });

    test('a creation that was one before is in the list once', async () => {
      const deduplication = { key: digest('key'), fingerprint: digest('request'), strict: true };
      const first = recordAt(1);
      await contract.store.create(first, deduplication, compositionOf('a'));
      await contract.store.create(recordAt(2), deduplication, compositionOf('a'));
      await contract.store.create(recordAt(3), { ...deduplication, fingerprint: digest('other') }, compositionOf('a'));
      expect(await ids()).toEqual([first.run_id]);
    });

    test('a run that was created without a composition is listed without an outline', async () => {
      const record = recordAt(5);
      await contract.store.create(record);
      expect((await page()).runs).toEqual([{ record, outline: null, facts: null }]);
    });

    test('runs that have expired are in no list', async () => {
      const done = await starting(12, 'a');
      for (const id of done) applied(await contract.store.finalise(id, terminal(id, 'succeeded')));
      await contract.harness.passTime(RETENTION / 2);
      const later = await start('a');
      await contract.harness.passTime(RETENTION / 2 + 1);
      for (const query of [{}, { tenant: 'a' }, { statuses: ['running', 'succeeded'] as const }]) {
        expect(await walk(query)).toEqual([later]);
      }
      expect(await walk({ statuses: ['succeeded'] })).toEqual([]);
    });

    test.each([
      'x',
      '',
      's',
      'r',
      's-1',
      's9999999999999',
      'szzzzzzzzzzz',
      'r!!!!',
      `r${Buffer.from('not a place in a list').toString('base64url')}`,
      `r${'A'.repeat(2_000)}`,
      '1780388130204-0',
      "s1' OR 1=1 --",
      '(+',
      '+',
      '\u0000',
    ])('the cursor %j is none', async (after) => {
      await start();
      expect(await lister().listRuns({ ...ALL, after })).toBeNull();
    });

    test('a cursor that leads beyond the end yields nothing', async () => {
      await starting(3);
      const { nextAfter } = await page({ limit: 2 });
      const last = await page({ after: nextAfter });
      expect([last.runs.length, last.nextAfter]).toEqual([1, null]);
    });

    test('of ten thousand runs every page is read in a moment, and all pages have all of them', async () => {
      const records = Array.from({ length: 10_000 }, (_, i) => recordAt(i + 1));
      for (let i = 0; i < records.length; i += 500) {
        const some = records.slice(i, i + 500);
        await Promise.all(some.map((each) => contract.store.create(each, null, compositionOf(`t${i}`))));
      }
      const wanted = records.map(({ run_id }) => run_id).toReversed();
      const seen = await walk({ limit: 500 });
      expect(seen.toSorted()).toEqual(wanted.toSorted());
      expect((await page({ limit: 50 })).runs).toHaveLength(50);
      expect(await ids({ tenant: 't9500', limit: 1 })).toHaveLength(1);
    }, 90_000);

    test('a closed store lists nothing', async () => {
      await contract.store.close();
      await expect(lister().listRuns(ALL)).rejects.toMatchObject({ code: 'store_unavailable' });
    });

    if (traits.shared) {
      test('shows the runs of all processes, in the order of their creation, and their ends', async () => {
        const other = await contract.harness.another?.();
        if (other === undefined) throw new Error('no other process');
        const started: string[] = [];
        for (let i = 0; i < 10; i += 1) {
          micros += 1;
          const record = recordAt(micros);
          await (i % 2 === 0 ? contract.store : other).create(record, null, compositionOf('a'));
          started.unshift(record.run_id);
        }
        expect(await walk({ limit: 3 })).toEqual(started);
        for (const id of started) {
          const owner = started.indexOf(id) % 2 === 1 ? contract.store : other;
          applied(await owner.finalise(id, terminal(id, 'failed', 'x')));
        }
        expect(await walk({ statuses: ['running'] })).toEqual([]);
        expect(await walk({ statuses: ['failed'] })).toEqual(started);
      });
    }
  });

  describe('finding what was created', () => {
    const find = (key: string, request: string, strict = false) => {
      const { store } = contract;
      if (store.findCreated === undefined) throw new Error('no finder');
      return store.findCreated({ key: digest(key), fingerprint: digest(request), strict });
    };

    test('tells what a creation would, and creates nothing', async () => {
      expect(await find('k', 'r', true)).toBeNull();
      const record = recordAt(1);
      await contract.store.create(record, { key: digest('k'), fingerprint: digest('r'), strict: false });
      expect(await find('k', 'r')).toEqual({ created: false, existing: record });
      expect(await find('k', 'other')).toBeNull();
      expect(await find('k', 'other', true)).toEqual({ created: false, existing: null });
      expect(await find('other', 'r', true)).toBeNull();
      applied(await contract.store.finalise(record.run_id, terminal(record.run_id, 'succeeded')));
      expect(await find('k', 'r')).toMatchObject({ existing: { run_id: record.run_id, status: 'succeeded' } });
      await contract.harness.passTime(RETENTION + 1);
      expect(await find('k', 'r', true)).toBeNull();
      expect(await find('k', 'other', true)).toBeNull();
    });

    test('a closed store finds nothing', async () => {
      await contract.store.close();
      await expect(find('k', 'r')).rejects.toMatchObject({ code: 'store_unavailable' });
    });
  });
}
