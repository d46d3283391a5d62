// Bodies at rest: who can open them, where, and that nothing of them shows.

import { describe, expect, test } from 'bun:test';
import { createBodySeal } from '../../src/managed/seal.ts';
import { openWorld, textsOf } from './kit.ts';

const secret = (byte: number) => Buffer.alloc(32, byte).toString('base64url');
const place = { key: 'k', id: 'life', rev: 3 };
const sealed = createBodySeal({ current: secret(1), previous: [] });
const text = '{"snapshot":"a secret, ü \\ud800"}';

describe('a sealed body', () => {
  test('says nothing, is never the same twice, and opens as it was', async () => {
    const [one, two] = [await sealed.seal(text, place), await sealed.seal(text, place)];
    expect(one).not.toContain('secret');
    expect(one).not.toBe(two);
    expect(await sealed.open(one, place)).toBe(text);
    expect(await createBodySeal({ current: secret(1), previous: [] }).open(two, place)).toBe(text);
  });

  test('opens in its place alone', async () => {
    const body = await sealed.seal(text, place);
    for (const other of [{ key: 'j' }, { id: 'another' }, { rev: 4 }]) {
      expect(await sealed.open(body, { ...place, ...other })).toBeNull();
    }
  });

  test('opens with a secret that was replaced, and with no other', async () => {
    const body = await sealed.seal(text, place);
    expect(await createBodySeal({ current: secret(2), previous: [secret(3), secret(1)] }).open(body, place)).toBe(text);
    expect(await createBodySeal({ current: null, previous: [secret(1)] }).open(body, place)).toBe(text);
    expect(await createBodySeal({ current: secret(2), previous: [] }).open(body, place)).toBeNull();
  });

  test('does not open when a character was changed, or when it is none', async () => {
    const body = await sealed.seal(text, place);
    const forged = `${body.slice(0, 40)}${body[40] === 'A' ? 'B' : 'A'}${body.slice(41)}`;
    for (const bad of [forged, body.slice(0, -8), 'v1.', 'v1.x', 'v1..', 'v1.AAAA.AAAA', `${body}.x`]) {
      expect([bad.length, await sealed.open(bad, place)]).toEqual([bad.length, null]);
    }
  });

  test('without a secret is clear text, which a secret that comes later still reads', async () => {
    const clear = createBodySeal({ current: null, previous: [] });
    expect(await clear.seal(text, place)).toBe(text);
    expect(await sealed.open(text, place)).toBe(text);
  });
});

describe('a server with a secret', () => {
  test('stores no word of a conversation in the clear, and goes on from it', async () => {
    const world = openWorld({ secrets: { current: secret(1), previous: [] } });
    try {
      const runId = await world.play('k');
      const row = await world.rows.load('k', { body: true });
      expect(row?.body?.startsWith('v1.')).toBe(true);
      expect(row?.head).not.toContain('messages');
      await world.play('k');
      expect(textsOf(world.started[1]?.request.session_snapshot)).toEqual([runId]);
      expect(world.log.some(({ message }) => message.includes('unencrypted'))).toBe(false);
    } finally {
      await world.close();
    }
  });

  test('without one says so when it starts', async () => {
    const world = openWorld();
    await world.close();
    expect(world.log.some(({ message }) => message.includes('unencrypted'))).toBe(true);
  });

  test('that was changed without keeping the old one: the session says so, fails runs, and can begin anew', async () => {
    const world = openWorld({ secrets: { current: secret(1), previous: [] } });
    const runId = await world.play('k');
    const { store, rows, clock } = world;
    const other = openWorld({ secrets: { current: secret(2), previous: [] }, store: { live: store, rows, clock } });
    try {
      expect(await other.sessions.describe('k', { snapshot: true })).toMatchObject({
        rev: 1,
        session_snapshot: null,
        last_error: { code: 'session_snapshot_unreadable' },
      });
      const failed = await other.play('k');
      expect(await other.statusOf(failed)).toBe('failed');
      expect((await store.readEvents(failed, '0-0', 10)).at(-1)?.payload).toContain('session_snapshot_unreadable');
      // With the old secret it is all there.
      expect(textsOf((await world.sessions.describe('k', { snapshot: true })).session_snapshot)).toEqual([runId]);
    } finally {
      await other.scheduler.shutdown();
      await other.sessions.stop();
      await world.close();
    }
  });
});
