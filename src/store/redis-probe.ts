// The first look at a Redis: does it answer, is it one that the store can use, what should its operator know? Errors are one
// line that names the variable and carries no credentials.

import { errorText } from '../base/errors.ts';
import type { Settings } from '../config/settings.ts';
import { StoreOpenError, systemCode } from './errors.ts';
import { type Connection, dial, UnsuitableServerError } from './redis-connection.ts';
import { RedisRefusal } from './redis-errors.ts';
import { indexBase, ownBase, ownerKeys, runKeys } from './redis-keys.ts';
import { createScripts, runScript } from './redis-scripts.ts';

/** How long a Redis may take to connect and answer, and to read its data set when it has just started. */
export const REDIS_DEADLINE_MS = 3_000;
/** Delay before a Redis that is still reading its data set is asked again, ms. */
const LOADING_AGAIN_MS = 100;

/** Time to live of a lease that is taken to see whether it can be, ms. */
const TRIAL_MS = '1000';

/** What the operator can do without Redis. */
const ADVICE = 'to run without Redis set DIFY_AGENT_STORE_URL=sqlite:./dify-agent.db';

/** What the room reads of the settings about Redis. */
export type RedisAddress = Pick<Settings, 'storeUrl' | 'redisPrefix' | 'runIndexEnabled'> & {
  /** The variable that `storeUrl` comes from, for errors. Default `DIFY_AGENT_REDIS_URL`. */
  readonly storeUrlVariable?: string;
};

/** The name for errors where the settings do not say which variable it was. */
const URL_VARIABLE = 'DIFY_AGENT_REDIS_URL';

/** What `check` shows and the server logs. */
export interface RedisReport {
  /** `redis://host:port/0`, without credentials. */
  readonly description: string;
  /** E.g. `7.0.15`. */
  readonly version: string;
  /** What may go wrong later; null: nothing known. */
  readonly warning: string | null;
}

/**
 * Connects and makes sure that the store can work there.
 * @throws StoreOpenError `store_unreachable` when it does not answer or refuses, `store_unsupported` when it is not suitable,
 * `store_url_invalid` for a URL that is none.
 */
export async function openConnection(
  settings: RedisAddress,
  name: string,
  deadlineMs: number = REDIS_DEADLINE_MS,
): Promise<{ readonly connection: Connection; readonly report: RedisReport }> {
  const { storeUrlVariable: variable = URL_VARIABLE } = settings;
  const { host, description } = describeUrl(settings.storeUrl, variable);
  const deadline = performance.now() + deadlineMs;
  let connection: Connection | null = null;
  try {
    connection = await dialUntil(settings.storeUrl, name, deadline);
    await tryRights(connection, settings.redisPrefix);
    if (settings.runIndexEnabled === true) await tryIndexRights(connection, settings.redisPrefix);
    const report = { description, version: connection.info.version, warning: await evictionWarning(connection) };
    return { connection, report };
  } catch (error) {
    connection?.destroy(new Error('not used'));
    throw openError(`${variable}: Redis at ${host}`, error);
  }
}

/**
 * Looks and goes away again.
 * @throws StoreOpenError as openConnection.
 */
export async function probeRedis(settings: RedisAddress, deadlineMs: number = REDIS_DEADLINE_MS): Promise<string> {
  const { connection, report } = await openConnection(settings, 'dify-agent-check', deadlineMs);
  connection.destroy(new Error('probed'));
  const { description, version, warning } = report;
  return `${description} (Redis ${version})${warning === null ? '' : `; WARNING: ${warning}`}`;
}

/** May this user run scripts, use keys of this prefix, and do what a lease needs? Leaves nothing behind. */
async function tryRights({ send }: Connection, prefix: string): Promise<void> {
  const scripts = createScripts();
  const { record, events, trimmed } = runKeys(prefix, '');
  await runScript(send, scripts.page, [record, events, trimmed], ['0-0', '1', '1']);
  const ownerId = crypto.randomUUID();
  const { lease, owners, index } = ownerKeys(prefix, ownerId);
  try {
    await runScript(send, scripts.dead, [index], [ownBase(prefix)]);
    await runScript(send, scripts.lease, [lease, owners, index], [TRIAL_MS, '0', ownerId, TRIAL_MS]);
    await runScript(send, scripts.release, [lease, owners, index], [ownerId]);
  } catch (error) {
    // A server that is out of memory, say, can be read from, and may recover.
    if (!(error instanceof RedisRefusal) || error.code === 'NOPERM') throw error;
  }
}

/** May this user keep an index of runs? Leaves nothing behind. */
async function tryIndexRights({ send }: Connection, prefix: string): Promise<void> {
  const key = `${indexBase(prefix)}trial:${crypto.randomUUID()}`;
  const trials = [
    ['ZADD', key, '0', 'x'],
    ['PEXPIRE', key, TRIAL_MS],
    ['ZCARD', key],
    ['ZRANGE', key, '-', '+', 'BYLEX'],
    ['ZREM', key, 'x'],
  ];
  for (const result of await Promise.allSettled(trials.map(send))) {
    if (result.status === 'fulfilled') continue;
    const error: unknown = result.reason;
    if (!(error instanceof RedisRefusal) || error.code === 'NOPERM') throw error;
  }
}

async function dialUntil(url: string, name: string, deadline: number): Promise<Connection> {
  for (;;) {
    try {
      return await dial({ url, name, deadlineMs: Math.max(1, Math.ceil(deadline - performance.now())) });
    } catch (error) {
      const loading = error instanceof RedisRefusal && error.code === 'LOADING';
      if (!loading || performance.now() + LOADING_AGAIN_MS >= deadline) throw error;
      await new Promise((resolve) => setTimeout(resolve, LOADING_AGAIN_MS));
    }
  }
}

/** Every key of ours has a time to live, so that any policy but noeviction may drop running runs. */
async function evictionWarning(connection: Connection): Promise<string | null> {
  try {
    const policy = /^maxmemory_policy:(\S+)/m.exec(String(await connection.send(['INFO', 'memory'])))?.[1];
    if (policy === undefined || policy === 'noeviction') return null;
    return `maxmemory-policy is ${policy}: Redis may drop runs when its memory is full; set it to noeviction`;
  } catch (error) {
    if (!(error instanceof RedisRefusal)) throw error;
    return 'this user may not call INFO, so the eviction policy is unknown; it should be noeviction';
  }
}

function openError(where: string, error: unknown): StoreOpenError {
  const options = { cause: error };
  if (error instanceof UnsuitableServerError) {
    return new StoreOpenError('store_unsupported', `${where} ${error.message}; ${ADVICE}`, options);
  }
  // A reply is an answer: WRONGPASS, NOAUTH, LOADING.
  const problem = error instanceof RedisRefusal ? `refuses: ${error.message}` : unreachable(error);
  return new StoreOpenError('store_unreachable', `${where} ${problem}; ${ADVICE}`, options);
}

function unreachable(error: unknown): string {
  const text = errorText(error);
  const silent = systemCode(error) === 'ECONNREFUSED' || /^(?:no answer within|Connection timeout)/i.test(text);
  return silent ? 'does not answer' : `does not answer: ${text}`;
}

/** The place without credentials. Throws StoreOpenError for what is no Redis URL. */
function describeUrl(url: string, variable: string): { readonly host: string; readonly description: string } {
  const parsed = URL.parse(url);
  if (parsed === null || parsed.hostname === '' || !/^\/?\d*$/.test(parsed.pathname)) {
    throw new StoreOpenError('store_url_invalid', `${variable}: not a Redis URL; ${ADVICE}`);
  }
  const host = `${parsed.hostname}:${parsed.port === '' ? '6379' : parsed.port}`;
  return { host, description: `${parsed.protocol}//${host}/${parsed.pathname.slice(1) || '0'}` };
}
