// Rows of managed sessions in Redis: a string for each row and one for its large part, and sorted sets that find them by name, by
// tenant and by when they are due. They have no time to live: a session is cleaned up before it goes. Keys: redis-keys.ts.

import type { EventId } from '../base/cursor.ts';
import type { SessionRow, SessionRows } from '../managed/ports.ts';
import { toStoreError } from './errors.ts';
import { type RunKeys, sessionKeys, sessionSets } from './redis-keys.ts';
import type { Requests } from './redis-requests.ts';
import type { Scripts } from './redis-scripts.ts';

export interface RedisSessionsDeps {
  readonly requests: Requests;
  readonly scripts: Pick<Scripts, 'sessionLoad' | 'sessionSave' | 'sessionRemove'>;
  readonly prefix: string;
  readonly keysOf: (runId: string) => RunKeys;
}

/** Greater than every character of a key. */
const AFTER_ALL = '\x7f';

export function createRedisSessions({ requests, scripts, prefix, keysOf }: RedisSessionsDeps): SessionRows {
  const sets = sessionSets(prefix);
  const namesOf = (key: string) => {
    const { row, body } = sessionKeys(prefix, key);
    return [row, body, sets.keys, sets.due, sets.tenants];
  };

  async function told<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw toStoreError(error);
    }
  }

  async function rows(keys: readonly string[]): Promise<readonly SessionRow[]> {
    // Sent together: the client pipelines what is asked for in one turn.
    const texts = await Promise.all(keys.map((key) => requests.ask(['GET', sessionKeys(prefix, key).row])));
    return texts.flatMap((text, i) => parseRow(keys[i] ?? '', text, null) ?? []);
  }

  return {
    load: (key, { body }) =>
      told(async () => {
        const { row, body: large } = sessionKeys(prefix, key);
        if (!body) return parseRow(key, await requests.ask(['GET', row]), null);
        const reply = await requests.run(scripts.sessionLoad, [row, large], []);
        const [text, whole]: unknown[] = Array.isArray(reply) ? reply : [];
        return parseRow(key, text, typeof whole === 'string' ? whole : null);
      }),
    save: ({ key, version, tenant, head, dueAt, body }, ifVersion) =>
      told(async () => {
        const member = tenant === null ? '' : memberOf(tenant, key);
        const rest = `${JSON.stringify(tenant)}\n${head}`;
        const large = body === undefined ? ['keep'] : body === null ? ['none'] : ['set', body];
        const args = [key, ifVersion ?? '', version, String(dueAt), member, rest, ...large];
        return (await requests.run(scripts.sessionSave, namesOf(key), args)) === 1;
      }),
    remove: ({ key, version }) =>
      told(async () => (await requests.run(scripts.sessionRemove, namesOf(key), [key, version])) === 1),
    list: ({ tenant, prefix: start, after, limit }) =>
      told(async () => {
        const base = tenant === null ? '' : `${digest(tenant)} `;
        // Our own keys begin with a space, which comes before all others.
        const from = after !== '' && after >= start ? `(${base}${after}` : `[${base}${start === '' ? '!' : start}`;
        const before = `(${base}${start}${AFTER_ALL}`;
        const set = tenant === null ? sets.keys : sets.tenants;
        const found = await requests.ask(['ZRANGE', set, from, before, 'BYLEX', 'LIMIT', '0', String(limit)]);
        const members = Array.isArray(found) ? found.map(String) : [];
        return rows(members.map((member) => member.slice(base.length)));
      }),
    due: (nowMs, limit) =>
      told(async () => {
        const range = ['-inf', String(nowMs), 'BYSCORE', 'LIMIT', '0', String(limit)];
        const found = await requests.ask(['ZRANGE', sets.due, ...range]);
        return Array.isArray(found) ? found.map(String) : [];
      }),
    lastEvent: (runId) =>
      told(async () => {
        const reply = await requests.ask(['XREVRANGE', keysOf(runId).events, '+', '-', 'COUNT', '1']);
        return lastOf(reply);
      }),
  };
}

/** `{version}\n{due}\n{tenant member}\n{tenant}\n{head}`, as session-save.lua puts it together. */
function parseRow(key: string, text: unknown, body: string | null): SessionRow | null {
  if (typeof text !== 'string') return null;
  const [version = '', due = '', , tenant = 'null', ...head] = text.split('\n');
  return { key, version, tenant: tenantOf(tenant), head: head.join('\n'), body, dueAt: Number(due) };
}

function tenantOf(text: string): string | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'string' ? value : null;
  } catch {
    return null;
  }
}

/** Tenants are anybody's text: as digests all members have one form. */
function memberOf(tenant: string, key: string): string {
  return `${digest(tenant)} ${key}`;
}

function digest(text: string): string {
  return new Bun.CryptoHasher('sha256').update(text).digest('hex');
}

function lastOf(reply: unknown): { readonly id: EventId; readonly payload: string } | null {
  const [entry]: unknown[] = Array.isArray(reply) ? reply : [];
  const [id, fields]: unknown[] = Array.isArray(entry) ? entry : [];
  if (typeof id !== 'string' || !Array.isArray(fields)) return null;
  const payload: unknown = fields[fields.indexOf('payload') + 1];
  return typeof payload === 'string' ? { id, payload } : null;
}
