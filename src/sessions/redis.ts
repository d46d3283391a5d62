// `dify-agent/sessions/redis`: sessions in a Redis (6.2 or later) that processes on many machines share, over a node-redis
// client that is yours: its connection, its time-outs, its errors.

import { messageOf } from '../client/errors.ts';
import {
  decodeCleanup,
  decodeNote,
  decodeSession,
  encodeCleanup,
  encodeNote,
  encodeState,
  MAX_STORED_CHARS,
} from './codec.ts';
import { AgentSessionError, SessionConflictError, SessionStoreError } from './errors.ts';
import { newId } from './ids.ts';
import { SCRIPTS, type ScriptName } from './redis-scripts.ts';
import { ownerKey, scopeKey, scopeOf } from './scope.ts';
import type { ClaimOptions, RetryOptions, SaveOptions, SessionStore } from './store.ts';
import type { ClaimedCleanup, Owner, Scope, SessionState, TurnNote } from './types.ts';

/** What is used of a client; `createClient()` of node-redis (`redis` 4 and later) fits. */
export interface RedisLike {
  sendCommand(args: readonly string[]): Promise<unknown>;
}

export interface RedisStoreOptions {
  /** All keys are `{prefix}:…`. Default `dify-agent:sessions`. */
  readonly prefix?: string;
  /** The most characters of a session or clean-up. Default 64 Mi. */
  readonly maxChars?: number;
}

/** The most rows that one step of a purge removes, and the most lapsed turns that are listed. */
const BATCH = 1_000;

/** A store over a connected client, which stays the caller's: `close` does not close it. */
export function redisSessionStore(client: RedisLike, options: RedisStoreOptions = {}): SessionStore {
  return new RedisSessionStore(client, options);
}

class RedisSessionStore implements SessionStore {
  readonly #client: RedisLike;
  readonly #prefix: string;
  readonly #maxChars: number;
  /** By name, from the server, once it has them. */
  readonly #hashes = new Map<ScriptName, Promise<string>>();

  constructor(client: RedisLike, { prefix = 'dify-agent:sessions', maxChars = MAX_STORED_CHARS }: RedisStoreOptions) {
    if (/[{}]/.test(prefix) || prefix === '') throw new TypeError('prefix must not be empty nor have braces');
    this.#client = client;
    this.#prefix = `{${prefix}}`;
    this.#maxChars = maxChars;
  }

  async load(scope: Scope) {
    const key = scopeKey(scope);
    const [rev, state] = texts(await this.#run('load', key));
    return rev === undefined || state === undefined ? null : decodeSession(key, Number(rev), state);
  }

  async save(scope: Scope, next: SessionState, ifRev: number | null, { enqueue = [] }: SaveOptions = {}) {
    const state = encodeState(next, this.#maxChars);
    const entries = enqueue.flatMap((entry) => [entry.id, encodeCleanup(entry, this.#maxChars)]);
    const words = [scopeKey(scope), ownerKey(scope), next.status, state, String(ifRev ?? ''), ...entries];
    const [saved, rev = ''] = texts(await this.#run('save', ...words));
    if (saved !== '1') throw new SessionConflictError(ifRev, rev === '' ? null : Number(rev));
    return Number(rev);
  }

  async *listActive(owner: Owner) {
    for (const key of texts(await this.#run('active', ownerKey(owner)))) {
      const session = await this.load(scopeOf(key));
      if (session?.status === 'active') yield session;
    }
  }

  async purge(olderThanMs: number) {
    let purged = 0;
    for (;;) {
      const some = Number(await this.#run('purge', String(Math.ceil(olderThanMs)), String(BATCH)));
      purged += some;
      if (some < BATCH) return purged;
    }
  }

  async beginTurn(scope: Scope, token: string, leaseMs: number) {
    const words = [scopeKey(scope), ownerKey(scope), token, String(Math.ceil(leaseMs))];
    const [begun, note = '', remaining] = texts(await this.#run('beginTurn', ...words));
    const left = decodeNote(note === '' ? null : note);
    if (begun === '1') return { begun: true as const, left };
    return { begun: false as const, note: left, remainingMs: Number(remaining) };
  }

  async keepTurn(scope: Scope, token: string, leaseMs: number, note?: TurnNote) {
    const text = note === undefined ? '' : encodeNote(note);
    return Number(await this.#run('keepTurn', scopeKey(scope), token, String(Math.ceil(leaseMs)), text)) === 1;
  }

  async endTurn(scope: Scope, token: string) {
    return Number(await this.#run('endTurn', scopeKey(scope), token, ownerKey(scope))) === 1;
  }

  async *listTurns(which: { readonly owner: Owner } | { readonly lapsed: true }) {
    const keys =
      'owner' in which
        ? await this.#run('turnsOf', ownerKey(which.owner))
        : await this.#run('lapsedTurns', String(BATCH));
    for (const key of texts(keys)) {
      const note = await this.#run('note', key);
      if (note == null) continue;
      yield { scope: scopeOf(key), note: decodeNote(String(note) === '' ? null : String(note)) };
    }
  }

  async claim({ limit, leaseMs, ids }: ClaimOptions) {
    const lease = String(Math.ceil(leaseMs));
    const tokens = Array.from({ length: limit }, newId);
    const taken = ids === undefined ? this.#run('claim', lease, ...tokens) : this.#claimOf(lease, tokens, ids);
    return list(await taken).map((one): ClaimedCleanup => {
      const [entry = '', claim = '', attempts, failedRuns] = texts(one);
      return { ...decodeCleanup(entry), claim, attempts: Number(attempts), failedRuns: Number(failedRuns) };
    });
  }

  #claimOf(lease: string, tokens: readonly string[], ids: readonly string[]): Promise<unknown> {
    return this.#run('claimOf', lease, String(tokens.length), ...tokens, ...ids);
  }

  async retry({ id, claim }: Pick<ClaimedCleanup, 'id' | 'claim'>, { delayMs, failedRuns, error }: RetryOptions) {
    const words = [id, claim, String(Math.ceil(delayMs)), String(failedRuns), error];
    return Number(await this.#run('retry', ...words)) === 1;
  }

  async done({ id, claim }: Pick<ClaimedCleanup, 'id' | 'claim'>) {
    return Number(await this.#run('done', id, claim)) === 1;
  }

  async backlog() {
    const [entries, next = ''] = texts(await this.#run('backlog'));
    return { entries: Number(entries), nextMs: next === '' ? null : Number(next) };
  }

  async close() {}

  async #run(name: ScriptName, ...words: string[]): Promise<unknown> {
    try {
      const hash = await this.#hash(name);
      try {
        return await this.#client.sendCommand(['EVALSHA', hash, '1', this.#prefix, ...words]);
      } catch (error) {
        // The server was restarted, or another one took its place. It has done nothing yet.
        if (!(error instanceof Error && error.message.startsWith('NOSCRIPT'))) throw error;
        return await this.#client.sendCommand(['EVAL', SCRIPTS[name], '1', this.#prefix, ...words]);
      }
    } catch (error) {
      if (error instanceof AgentSessionError) throw error;
      throw new SessionStoreError(`Redis: ${messageOf(error)}`, { cause: error });
    }
  }

  #hash(name: ScriptName): Promise<string> {
    const known = this.#hashes.get(name);
    if (known !== undefined) return known;
    const loading = this.#client.sendCommand(['SCRIPT', 'LOAD', SCRIPTS[name]]).then(String);
    this.#hashes.set(name, loading);
    loading.catch(() => this.#hashes.delete(name));
    return loading;
  }
}

function list(reply: unknown): readonly unknown[] {
  if (!Array.isArray(reply)) throw new SessionStoreError('Redis: an unexpected answer');
  return reply;
}

/** Numbers, texts and (if the client is set up so) bytes as texts. */
function texts(reply: unknown): readonly string[] {
  return list(reply).map(String);
}
