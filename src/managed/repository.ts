// Sessions over the rows of a store: decoded, opened and sealed, and changed by comparing and setting until nobody came between.

import type { Clock } from '../base/clock.ts';
import { SessionRefusal } from './errors.ts';
import type { SessionRow, SessionRows } from './ports.ts';
import { type Body, type Head, parseBody, parseHead, printHead } from './record.ts';
import type { BodySeal } from './seal.ts';

/** A session as it was at one moment. */
export interface Session {
  readonly key: string;
  readonly tenant: string | null;
  readonly head: Head;
  readonly row: SessionRow;
}

/** With its body. */
export interface WholeSession extends Session {
  /** Null: there is none. `unreadable`: no secret opens it. */
  readonly body: Body | null | 'unreadable';
}

/** What becomes of a session. */
export interface Write {
  readonly head: Head;
  /** Absent: as it was. */
  readonly tenant?: string | null;
  /** Text of record.ts; absent: as it was. `head.rev` must be a new one whenever it is given. */
  readonly body?: string | null;
}

/** What `change` is to do: write, remove, or leave the session as it is. */
export type Decision<T> = { readonly result: T; readonly write?: Write | 'remove' };

/** Every method rejects with StoreUnavailableError, or with SessionRefusal for a row that cannot be read. */
export interface Repository {
  readonly nowMs: () => number;
  load(key: string): Promise<Session | null>;
  loadWhole(key: string): Promise<WholeSession | null>;
  /** False: somebody else has changed it meanwhile. `session` null: there was none, and `key` is new. */
  save(key: string, session: Session | null, write: Write): Promise<boolean>;
  /** False: as for save. */
  remove(session: Session): Promise<boolean>;
  /** Decides on what is there until that is what is changed. Rejects with SessionRefusal `session_contended`; as `decide`. */
  change<T>(key: string, decide: (session: Session | null) => Promise<Decision<T>> | Decision<T>): Promise<T>;
}

/** How often a change is tried: every other one that succeeded has got something done. */
const TRIES = 200;
/** Pauses between, ms: up to this. */
const MAX_PAUSE_MS = 20;

export function createRepository(deps: {
  readonly rows: SessionRows;
  readonly seal: BodySeal;
  readonly clock: Clock;
  /** A session with runs is looked at this often, ms: the process that should take in their end may have died. */
  readonly lookMs: number;
}): Repository {
  const { rows, seal, clock, lookMs } = deps;
  const nowMs = () => Math.floor(clock.nowMicros() / 1000);

  /** When somebody should look at a session again. */
  function dueAt({ queue, ending, expiresAt }: Head): number {
    if (queue.length > 0) return nowMs() + lookMs;
    return ending === null ? expiresAt : ending.retryAt;
  }

  async function load(key: string): Promise<Session | null> {
    return decode(await rows.load(key, { body: false }));
  }

  async function loadWhole(key: string): Promise<WholeSession | null> {
    const session = decode(await rows.load(key, { body: true }));
    if (session === null) return null;
    const { row, head } = session;
    if (row.body === null) return { ...session, body: null };
    const text = await seal.open(row.body, { key, id: head.id, rev: head.rev });
    return { ...session, body: (text === null ? null : parseBody(text)) ?? 'unreadable' };
  }

  async function save(key: string, session: Session | null, { head, tenant, body }: Write): Promise<boolean> {
    const sealed = typeof body === 'string' ? await seal.seal(body, { key, id: head.id, rev: head.rev }) : body;
    return rows.save(
      {
        key,
        version: crypto.randomUUID(),
        tenant: tenant === undefined ? (session?.tenant ?? null) : tenant,
        head: printHead(head),
        dueAt: dueAt(head),
        ...(sealed === undefined ? {} : { body: sealed }),
      },
      session?.row.version ?? null,
    );
  }

  return {
    nowMs,
    load,
    loadWhole,
    save,
    remove: ({ row }) => rows.remove(row),
    async change(key, decide) {
      for (let attempt = 1; attempt <= TRIES; attempt += 1) {
        const session = await load(key);
        const { result, write } = await decide(session);
        if (write === undefined) return result;
        const done =
          write !== 'remove' ? await save(key, session, write) : session === null || (await rows.remove(session.row));
        if (done) return result;
        await pause(Math.random() * Math.min(MAX_PAUSE_MS, attempt));
      }
      throw new SessionRefusal('session_contended', 'too many changes of the session at once');
    },
  };
}

function decode(row: SessionRow | null): Session | null {
  if (row === null) return null;
  const head = parseHead(row.head);
  if (head === null) throw new SessionRefusal('session_snapshot_unreadable', 'the stored session cannot be read');
  return { key: row.key, tenant: row.tenant, head, row };
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
