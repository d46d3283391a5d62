// What every SessionStore must do. Run it against an adapter of your own, too.

import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import type { JsonObject } from '../../src/client/types.ts';
import {
  type ClaimedCleanup,
  type Scope,
  SessionConflictError,
  type SessionStore,
  SessionStoreError,
  SessionTooLargeError,
} from '../../src/sessions/index.ts';
import { until } from '../support/until.ts';
import { active, all, CLEANED_STATE, cleanup, newScope, note } from './kit.ts';

/** A kind of store. */
export interface StoreWorld {
  /** Opens the shared store once more, as another process would; the contract closes it. */
  open(options?: { readonly maxChars?: number }): Promise<SessionStore>;
  /** Removes what it made. */
  dispose(): Promise<void>;
  /** False: one opening does not see the other's. */
  readonly shared: boolean;
  /** Something that fails now; null: this store cannot fail. */
  broken?(): Promise<SessionStore>;
}

const LONG = 600_000;

export function runStoreContract(name: string, start: () => Promise<StoreWorld>): void {
  describe(name, () => {
    let world: StoreWorld;
    let store: SessionStore;
    let other: SessionStore;

    beforeAll(async () => {
      world = await start();
      store = await world.open();
      other = world.shared ? await world.open() : store;
    });
    afterAll(async () => {
      await store?.close();
      await other?.close();
      await world?.dispose();
    });

    describe('sessions', () => {
      test('a session that was never saved is null', async () => {
        expect(await store.load(newScope())).toBeNull();
      });

      test('what was saved is loaded as it was, by every user of the store', async () => {
        const scope = newScope();
        const pending = {
          toolCallId: 'c',
          toolName: 'ask_human',
          args: { a: [1.5, null] },
          metadata: {},
          correlation: 'f',
        };
        const state = active('ü\u0000\u2028😀"\\', { pending, ending: 'x' });
        const rev = await store.save(scope, state, null);
        expect(await other.load(scope)).toEqual({ ...state, scope, rev });
      });

      test('integers beyond 2^53 keep their digits', async () => {
        const scope = newScope();
        const { rawJSON } = JSON as unknown as { rawJSON(text: string): JsonObject }; // as the client reads them
        const runtime_state = { id: rawJSON('-123456789012345678901'), small: 7 };
        const layers = [{ name: 'history', lifecycle_state: 'suspended' as const, runtime_state }];
        await store.save(scope, active('', { snapshot: { schema_version: 1, layers } }), null);
        expect(JSON.stringify((await other.load(scope))?.snapshot.layers)).toBe(JSON.stringify(layers));
      });

      test('a save leaves what it was given alone, and what it gives out is not shared', async () => {
        const scope = newScope();
        const state = active();
        await store.save(scope, state, null);
        const first = await store.load(scope);
        ((first?.snapshot.layers ?? []) as unknown[]).pop(); // A caller that misbehaves.
        expect((await store.load(scope))?.snapshot.layers).toHaveLength(3);
        expect(state.snapshot.layers).toHaveLength(3);
      });

      test('only who has the present revision can save', async () => {
        const scope = newScope();
        await expect(store.save(scope, active(), 1)).rejects.toThrow(SessionConflictError);
        const first = await store.save(scope, active('one'), null);
        await expect(store.save(scope, active('x'), null)).rejects.toMatchObject({ expected: null, actual: first });
        const second = await other.save(scope, active('two'), first);
        expect(second).toBeGreaterThan(first);
        await expect(store.save(scope, active('x'), first)).rejects.toMatchObject({ expected: first, actual: second });
        expect(await store.load(scope)).toEqual({ ...active('two'), scope, rev: second });
      });

      test('of twenty savers at once one wins each round', async () => {
        const scope = newScope();
        let rev: number | null = null;
        for (let round = 0; round < 5; round += 1) {
          const tries: Promise<number>[] = Array.from({ length: 20 }, (_, i) =>
            (i % 2 === 0 ? store : other).save(scope, active(`${round}-${i}`), rev),
          );
          const ended = await Promise.allSettled(tries);
          const won = ended.flatMap((end) => (end.status === 'fulfilled' ? [end.value] : []));
          expect(won).toHaveLength(1);
          for (const end of ended)
            if (end.status === 'rejected') expect(end.reason).toBeInstanceOf(SessionConflictError);
          rev = won[0] ?? null;
          expect((await store.load(scope))?.rev).toBe(rev ?? -1);
        }
      });

      test('a snapshot of two megabytes comes back as it was', async () => {
        const scope = newScope();
        const state = active('ä"\n'.repeat(700_000));
        await store.save(scope, state, null, { enqueue: [cleanup(`big-${scope.ownerId}`, scope, state.lastRunId)] });
        expect((await other.load(scope))?.snapshot).toEqual(state.snapshot);
      });

      test('a session or clean-up that is too large is refused and changes nothing', async () => {
        const small = await world.open({ maxChars: 2_000 });
        try {
          const scope = newScope();
          const rev = await small.save(scope, active('kept'), null);
          await expect(small.save(scope, active('x'.repeat(2_000)), rev)).rejects.toThrow(SessionTooLargeError);
          const big = cleanup(`large-${scope.ownerId}`, scope, 'x'.repeat(2_000));
          await expect(small.save(scope, active(), rev, { enqueue: [big] })).rejects.toThrow(SessionTooLargeError);
          expect(await small.load(scope)).toEqual({ ...active('kept'), scope, rev });
          expect(await small.claim({ limit: 1, leaseMs: LONG, ids: [big.id] })).toEqual([]);
        } finally {
          await small.close();
        }
      });

      test('scopes whose parts run together are different sessions', async () => {
        const { ownerId } = newScope();
        const parts: readonly Partial<Scope>[] = [
          { tenant: 'a:b', ownerKind: 'c' },
          { tenant: 'a', ownerKind: 'b:c' },
          { tenant: 'a","b', ownerKind: 'c' },
          { tenant: 'a', ownerKind: 'b","c' },
          { tenant: 'a/b', ownerKind: 'c' },
          { tenant: 'A', ownerKind: 'c' },
          { tenant: 'a ', ownerKind: 'c' },
          { tenant: 'é', ownerKind: 'c' },
          { tenant: 'e\u0301', ownerKind: 'c' },
          { tenant: '\ud800', ownerKind: 'c' },
          { tenant: '\udfff', ownerKind: 'c' },
          { tenant: '\ufffd', ownerKind: 'c' },
          { tenant: 'a\u0000', ownerKind: 'c' },
          { tenant: 'a', ownerKind: '\u0000c' },
          { tenant: '%', ownerKind: '*' },
          { tenant: '{x}', ownerKind: '?' },
          { tenant: "'; DROP TABLE agent_session; --", ownerKind: '😀' },
          { tenant: '__proto__', ownerKind: 'constructor' },
          { tenant: 'x'.repeat(1_024), ownerKind: 'c' },
        ];
        const scopes = parts.map((part) => newScope({ ...part, ownerId }));
        for (const [i, scope] of scopes.entries()) await store.save(scope, active(String(i)), null);
        for (const [i, scope] of scopes.entries()) {
          const session = await other.load(scope);
          expect(session).toMatchObject({ scope, ...active(String(i)) });
          expect((await all(store.listActive(scope))).map((found) => found.scope)).toEqual([scope]);
          expect(await store.beginTurn(scope, 'token', LONG)).toEqual({ begun: true, left: null });
          expect(await all(store.listTurns({ owner: scope }))).toEqual([{ scope, note: null }]);
          await store.endTurn(scope, 'token');
        }
      });

      test.each([
        ['tenant', ''],
        ['slot', ''],
        ['ownerId', 'x'.repeat(1_025)],
        ['ownerKind', 7],
      ])('a scope whose %s is not a text of 1 to 1,024 characters is refused', async (part, value) => {
        const scope = { ...newScope(), [part]: value } as Scope; // Wrong on purpose.
        const refused = { code: 'agent_session_invalid_scope' };
        await expect(store.load(scope)).rejects.toMatchObject(refused);
        await expect(store.save(scope, active(), null)).rejects.toMatchObject(refused);
        await expect(store.beginTurn(scope, 'token', 1)).rejects.toMatchObject(refused);
      });

      test('active sessions of one owner are listed, cleaned ones and others not', async () => {
        const owner = newScope();
        const slots = ['one', 'two', 'three'].map((slot) => ({ ...owner, slot }));
        for (const scope of slots) await store.save(scope, active(scope.slot), null);
        await store.save(newScope(), active(), null);
        const gone = slots[1] as Scope;
        await store.save(gone, CLEANED_STATE, (await store.load(gone))?.rev ?? null);
        const listed = await all(other.listActive(owner));
        expect(listed.map(({ scope }) => scope.slot).sort()).toEqual(['one', 'three']);
        expect(listed.every(({ rev }) => rev > 0)).toBe(true);
      });

      test('a cleaned session can be active again', async () => {
        const scope = newScope();
        const cleaned = await store.save(scope, CLEANED_STATE, null);
        await store.save(scope, active(), cleaned);
        expect(await all(store.listActive(scope))).toHaveLength(1);
        expect(await store.purge(0)).toBeGreaterThanOrEqual(0);
        expect(await store.load(scope)).toMatchObject(active());
      });

      test('a purge forgets cleaned sessions that are old enough, and no revision comes back', async () => {
        const scope = newScope();
        const rev = await store.save(scope, CLEANED_STATE, null);
        await store.purge(LONG);
        expect((await store.load(scope))?.rev).toBe(rev);
        await until('the purge', async () => (await store.purge(0)) >= 0 && (await store.load(scope)) === null);
        const next = await store.save(scope, active(), null);
        expect(next).toBeGreaterThan(rev);
      });
    });

    describe('turns', () => {
      test('one at a time, and the next when it is ended', async () => {
        const scope = newScope();
        expect(await store.beginTurn(scope, 'one', LONG)).toEqual({ begun: true, left: null });
        const refused = await other.beginTurn(scope, 'two', LONG);
        expect(refused).toMatchObject({ begun: false, note: null });
        if (!refused.begun) expect(refused.remainingMs).toBeGreaterThan(LONG / 2);
        expect(await store.endTurn(scope, 'one')).toBe(true);
        expect(await other.beginTurn(scope, 'two', LONG)).toEqual({ begun: true, left: null });
      });

      test('of twenty at once one begins', async () => {
        const scope = newScope();
        const tries = Array.from({ length: 20 }, (_, i) =>
          (i % 2 === 0 ? store : other).beginTurn(scope, `t${i}`, LONG),
        );
        expect((await Promise.all(tries)).filter(({ begun }) => begun)).toHaveLength(1);
      });

      test('whose answer was lost can begin it again', async () => {
        const scope = newScope();
        await store.beginTurn(scope, 'one', LONG);
        expect(await store.beginTurn(scope, 'one', LONG)).toMatchObject({ begun: true });
      });

      test('a note is seen by who has to wait, and left to who comes after the lease', async () => {
        const scope = newScope();
        await store.beginTurn(scope, 'one', 1);
        expect(await store.keepTurn(scope, 'one', LONG, note('run-7'))).toBe(true);
        expect(await other.beginTurn(scope, 'two', LONG)).toMatchObject({ begun: false, note: note('run-7') });
        // Without a note the old one stays.
        expect(await store.keepTurn(scope, 'one', 1)).toBe(true);
        const taken = await until('the lease to end', async () => {
          const outcome = await other.beginTurn(scope, 'two', LONG);
          return outcome.begun ? outcome : null;
        });
        expect(taken).toEqual({ begun: true, left: note('run-7') });
        // It stays until it is replaced: the new owner may die as well.
        expect(await all(store.listTurns({ owner: scope }))).toEqual([{ scope, note: note('run-7') }]);
      });

      test('who has lost it can neither keep nor end it', async () => {
        const scope = newScope();
        await store.beginTurn(scope, 'one', 0);
        await until('the lease to end', async () => (await other.beginTurn(scope, 'two', LONG)).begun);
        expect(await store.keepTurn(scope, 'one', LONG, note('x'))).toBe(false);
        expect(await store.endTurn(scope, 'one')).toBe(false);
        expect(await all(store.listTurns({ owner: scope }))).toEqual([{ scope, note: null }]);
        expect(await store.keepTurn(newScope(), 'one', LONG)).toBe(false);
      });

      test('a turn that is given up is lapsed at once, with its note', async () => {
        const scope = newScope();
        await store.beginTurn(scope, 'one', LONG);
        const lapsed = async () =>
          (await all(other.listTurns({ lapsed: true }))).filter((t) => t.scope.ownerId === scope.ownerId);
        expect(await lapsed()).toEqual([]);
        await store.keepTurn(scope, 'one', LONG, note('run-8'));
        await store.keepTurn(scope, 'one', 0);
        expect(await until('the turn to lapse', async () => (await lapsed())[0])).toEqual({
          scope,
          note: note('run-8'),
        });
        expect(await store.beginTurn(scope, 'two', LONG)).toEqual({ begun: true, left: note('run-8') });
        expect(await lapsed()).toEqual([]);
        await store.endTurn(scope, 'two');
        expect(await store.beginTurn(scope, 'three', LONG)).toEqual({ begun: true, left: null });
      });
    });

    describe('the outbox', () => {
      /** Enqueues with a session of its own; only these ids are looked at. */
      async function enqueue(...ids: string[]): Promise<Scope> {
        const scope = newScope();
        await store.save(scope, CLEANED_STATE, null, { enqueue: ids.map((id) => cleanup(id, scope)) });
        return scope;
      }
      const claimOf = async (
        from: SessionStore,
        ids: readonly string[],
        leaseMs = LONG,
      ): Promise<readonly ClaimedCleanup[]> => from.claim({ limit: 10, leaseMs, ids });
      const name = (text: string) => `${text}-${newScope().ownerId}`;

      test('an entry comes as it was put in, once', async () => {
        const id = name('once');
        const scope = await enqueue(id);
        const [mine, ...more] = await claimOf(store, [id]);
        expect(more).toEqual([]);
        expect(mine).toEqual({ ...cleanup(id, scope), claim: expect.any(String), attempts: 0, failedRuns: 0 });
        expect(await claimOf(other, [id])).toEqual([]);
      });

      test('a refused save enqueues nothing', async () => {
        const id = name('refused');
        const scope = newScope();
        await store.save(scope, active(), null);
        const save = store.save(scope, CLEANED_STATE, null, { enqueue: [cleanup(id, scope)] });
        await expect(save).rejects.toThrow(SessionConflictError);
        expect(await claimOf(store, [id])).toEqual([]);
      });

      test('an id that is there already is not enqueued again', async () => {
        const id = name('twice');
        const scope = await enqueue(id);
        const [claimed] = await claimOf(store, [id]);
        await store.save(scope, CLEANED_STATE, (await store.load(scope))?.rev ?? null, {
          enqueue: [cleanup(id, scope)],
        });
        expect(await claimOf(store, [id])).toEqual([]);
        expect(await store.done(claimed as ClaimedCleanup)).toBe(true);
      });

      test('two workers share a hundred entries, each of which has one owner', async () => {
        const ids = Array.from({ length: 100 }, (_, i) => name(`shared-${i}`));
        await enqueue(...ids);
        const taken: string[] = [];
        const worker = async (from: SessionStore): Promise<void> => {
          for (;;) {
            const claimed = await from.claim({ limit: 7, leaseMs: LONG });
            if (claimed.length === 0) return;
            taken.push(...claimed.map(({ id }) => id));
          }
        };
        await Promise.all([worker(store), worker(other), worker(store), worker(other)]);
        const mine = taken.filter((id) => ids.includes(id));
        expect(mine).toHaveLength(100);
        expect(new Set(mine).size).toBe(100);
      });

      test('what is handed back is due after its pause, counted', async () => {
        const id = name('back');
        await enqueue(id);
        const [claimed] = (await claimOf(store, [id])) as [ClaimedCleanup];
        expect(await store.retry(claimed, { delayMs: LONG, failedRuns: 2, error: 'no' })).toBe(true);
        const due = await other.claim({ limit: 1_000, leaseMs: LONG });
        expect(due.map((entry) => entry.id)).not.toContain(id);
        // Who names it does not have to wait.
        expect(await claimOf(other, [id])).toMatchObject([{ id, attempts: 1, failedRuns: 2 }]);
      });

      test('what is handed back without a pause is due at once', async () => {
        const id = name('now');
        await enqueue(id);
        const [claimed] = (await claimOf(store, [id])) as [ClaimedCleanup];
        await store.retry(claimed, { delayMs: 0, failedRuns: 0, error: 'no' });
        const [again] = await until('the entry', async () => {
          const found = (await other.claim({ limit: 1_000, leaseMs: LONG })).filter((entry) => entry.id === id);
          return found.length === 0 ? null : found;
        });
        expect(again).toMatchObject({ attempts: 1 });
      });

      test("a claim that lapses is somebody else's, and its first owner can do nothing more", async () => {
        const id = name('lapsed');
        await enqueue(id);
        const [first] = (await claimOf(store, [id], 1)) as [ClaimedCleanup];
        const [second] = await until('the claim to lapse', async () => {
          const found = await claimOf(other, [id]);
          return found.length === 0 ? null : found;
        });
        expect(second?.claim).not.toBe(first.claim);
        expect(await store.done(first)).toBe(false);
        expect(await store.retry(first, { delayMs: 0, failedRuns: 1, error: 'x' })).toBe(false);
        expect(await other.done(second as ClaimedCleanup)).toBe(true);
        expect(await other.done(second as ClaimedCleanup)).toBe(false);
        expect(await claimOf(store, [id])).toEqual([]);
      });

      test('the oldest come first, and not more than asked for', async () => {
        for (const entry of await store.claim({ limit: 1_000, leaseMs: LONG })) await store.done(entry);
        const ids = [name('a'), name('b'), name('c')];
        for (const id of ids) {
          const before = Date.now();
          await enqueue(id);
          await until('the next millisecond', () => Date.now() > before + 1);
        }
        const order: string[] = [];
        for (const limit of [1, 2, 3]) order.push(...(await store.claim({ limit, leaseMs: LONG })).map(({ id }) => id));
        expect(order).toEqual(ids);
        expect(await store.claim({ limit: 0, leaseMs: LONG, ids })).toEqual([]);
      });

      test('the backlog tells how much there is and when to come back', async () => {
        for (const entry of await store.claim({ limit: 1_000, leaseMs: LONG })) await store.done(entry);
        const before = (await store.backlog()).entries;
        const id = name('backlog');
        await enqueue(id);
        expect(await other.backlog()).toEqual({ entries: before + 1, nextMs: 0 });
        const [claimed] = (await claimOf(store, [id])) as [ClaimedCleanup];
        const { nextMs } = await store.backlog();
        expect(nextMs).toBeGreaterThan(0);
        await store.done(claimed);
        expect((await store.backlog()).entries).toBe(before);
      });
    });

    test('a store that cannot answer says so', async () => {
      const broken = await world.broken?.();
      if (broken === undefined) return;
      await expect(broken.load(newScope())).rejects.toThrow(SessionStoreError);
      await expect(broken.save(newScope(), active(), null)).rejects.toThrow(SessionStoreError);
      await expect(broken.backlog()).rejects.toMatchObject({ code: 'agent_session_store_unavailable' });
      await expect(all(broken.listActive(newScope()))).rejects.toThrow(SessionStoreError);
    });
  });
}
