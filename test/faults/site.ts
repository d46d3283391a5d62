// Where faults are played: a store, a plugin daemon, and server processes of the compiled binary that share the store. At the
// end of every scene the processes that live must stop with 0, nothing may be left running in the store, and each process's
// output and everything that the store holds is searched for secrets.

import { Database } from 'bun:sqlite';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  type FakeDaemon,
  lastItem,
  pluginErrorItem,
  type Reply,
  startFakeDaemon,
  toolCallItem,
} from '../fakes/plugin-daemon.ts';
import { type RedisOptions, type RedisProcess, startRedis } from '../support/redis-process.ts';
import { createRun, plugin, type RunBody } from '../support/runs.ts';
import { startServer, type TestServer, withFolder } from '../support/server.ts';
import { mustEqual, mustNotLeak, SECRETS } from './checks.ts';
import { freePort } from './kill-loop.ts';

export type StoreName = 'sqlite' | 'redis';

/** Both, in the order of cost. */
export const STORES: readonly StoreName[] = ['sqlite', 'redis'];

const PREFIX = 'fault-site';

/** The scene of a fault. */
export interface Site {
  readonly store: StoreName;
  readonly daemon: FakeDaemon;
  /** Null on SQLite. */
  readonly redis: RedisProcess | null;
  /** The SQLite file; empty on Redis. */
  readonly path: string;
  /** The environment of each server process. */
  readonly env: Readonly<Record<string, string>>;
  /** Starts a server process; `env` adds to the site's. It is stopped at the end of the scene. On SQLite they share a port. */
  start(env?: Readonly<Record<string, string>>): Promise<TestServer>;
}

/** Settings of a scene. */
export interface SiteOptions {
  readonly redis?: RedisOptions;
  readonly env?: Readonly<Record<string, string>>;
}

/** A scene for the length of `use`. Throws what it throws with what the servers said; and when a secret was told. */
export async function withSite<T>(store: StoreName, options: SiteOptions, use: (site: Site) => Promise<T>): Promise<T> {
  if (store === 'redis') return withOwnRedis(options.redis ?? {}, (redis) => play(store, options, redis, '', use));
  return withFolder((folder) => play(store, options, null, join(folder, 'runs.db'), use));
}

/** A Redis for the length of `use`. Scenes start at the same time: two may have chosen the same port. */
export async function withOwnRedis<T>(options: RedisOptions, use: (redis: RedisProcess) => Promise<T>): Promise<T> {
  let redis: RedisProcess | null = null;
  for (let attempt = 1; redis === null; attempt += 1) {
    try {
      redis = await startRedis(options);
    } catch (error) {
      if (attempt === 5 || !String(error).includes('Address already in use')) throw error;
    }
  }
  try {
    return await use(redis);
  } finally {
    await redis.dispose();
  }
}

async function play<T>(
  store: StoreName,
  options: SiteOptions,
  redis: RedisProcess | null,
  path: string,
  use: (site: Site) => Promise<T>,
): Promise<T> {
  const daemon = await startFakeDaemon({ apiKey: SECRETS.daemonKey });
  const servers: TestServer[] = [];
  const env = {
    DIFY_AGENT_STORE_URL: redis?.url ?? `sqlite:${path}`,
    DIFY_AGENT_REDIS_PREFIX: PREFIX,
    DIFY_AGENT_RUN_LEASE_SECONDS: '2',
    DIFY_AGENT_PLUGIN_DAEMON_URL: daemon.url,
    DIFY_AGENT_PLUGIN_DAEMON_API_KEY: SECRETS.daemonKey,
    DIFY_AGENT_SHUTDOWN_GRACE_SECONDS: '0.2',
    DIFY_AGENT_LOG_LEVEL: 'debug',
    ...(redis === null ? { DIFY_AGENT_PORT: String(await freePort()) } : {}),
    ...options.env,
  };
  const site: Site = {
    store,
    daemon,
    redis,
    path,
    env,
    async start(more = {}) {
      const server = await startServer({ env: { ...env, ...more } });
      servers.push(server);
      return server;
    },
  };
  try {
    const result = await use(site);
    await Promise.all(servers.map(stopped));
    for (const { stderrLines, stdoutLines } of servers) {
      mustNotLeak('an output', [...stderrLines, ...stdoutLines].join('\n'));
    }
    const { running, text } = redis === null ? leftInFile(path) : await leftInRedis(redis);
    mustEqual('what is left running', running, []);
    mustNotLeak('the store', text);
    return result;
  } catch (error) {
    const said = servers.map(({ stderrLines }) => stderrLines.slice(-40).join('\n')).join('\n--\n');
    throw new Error(`${error instanceof Error ? error.message : error}\nthe servers said:\n${said}`, { cause: error });
  } finally {
    for (const server of servers) await server.dispose();
    await daemon.stop();
  }
}

/** One that lives must stop in an orderly way; the others were killed by the scene. */
async function stopped(server: TestServer): Promise<void> {
  const over = await Promise.race([server.exited, Bun.sleep(0)]);
  const { code, signal } = over ?? (await server.stop());
  const clean = over === undefined ? code === 0 && signal === null : code === 0 || signal === 'SIGKILL';
  if (!clean) throw new Error(`a server ended with ${code ?? signal}`);
}

/** What a store has after the last process: ids of runs that are not over, and everything as text. */
interface Left {
  readonly running: readonly string[];
  readonly text: string;
}

function leftInFile(path: string): Left {
  const folder = join(path, '..');
  const files = readdirSync(folder).map((name) => readFileSync(join(folder, name), 'latin1'));
  using db = new Database(path, { readonly: true });
  const rows = db.query<{ run_id: string }, []>("SELECT run_id FROM runs WHERE status = 'running'").all();
  return { running: rows.map(({ run_id }) => run_id), text: files.join('\n') };
}

/** Also runs that are over and still somebody's, and cancels that are still wished for. */
function leftInRedis(redis: RedisProcess): Promise<Left> {
  return redis.admin(async (client) => {
    const running: string[] = [];
    const texts: string[] = [];
    for (const key of await client.keys('*')) {
      const type = await client.type(key);
      let value: unknown;
      if (type === 'stream') value = await client.xRange(key, '-', '+');
      else if (type === 'set') value = await client.sMembers(key);
      else value = await client.get(key);
      const text = JSON.stringify(value);
      texts.push(key, text);
      const owned = /:x:owner:.*:runs$/.test(key) && text !== '[]';
      const unfinished = key.endsWith(':record') && text.includes('running');
      if (owned || unfinished || key.endsWith(':cancel-intent')) running.push(`${key} ${text}`);
    }
    return { running, text: texts.join('\n') };
  });
}

/** Some runs are told apart by the key of their credentials. */
let scripts = 0;

/** A run that is fed by the daemon, with a secret among its credentials. */
export interface FedRun {
  readonly body: RunBody;
  /** How to tell it apart at the daemon. */
  readonly key: string;
}

/** A composition whose model calls get these replies; with `tool` it has a tool of that name, whose calls get them. */
export function fed(
  daemon: FakeDaemon,
  llm: readonly Reply[],
  tool: { readonly name: string; readonly replies: readonly Reply[] } | null = null,
  more: RunBody = {},
): FedRun {
  scripts += 1;
  const key = `script-${process.pid}-${scripts}`;
  daemon.play(tool === null ? { llm } : { llm, tool: { [tool.name]: tool.replies } }, key);
  const credentials = { openai_api_key: SECRETS.credential, script_id: key };
  const { composition } = plugin() as unknown as Composed; // test/support/runs.ts
  const layers = composition.layers.map((layer) =>
    layer.type === 'dify.plugin.llm' ? { ...layer, config: { ...layer.config, credentials } } : layer,
  );
  return {
    key,
    body: { composition: { layers: tool === null ? layers : [...layers, toolLayer(tool.name, credentials)] }, ...more },
  };
}

interface Composed {
  readonly composition: { readonly layers: readonly { readonly type: string; readonly config: object }[] };
}

function toolLayer(name: string, credentials: object): object {
  const tool = {
    ...{ plugin_id: 'fault/tool', provider: 'fault', tool_name: name, credential_type: 'api-key', credentials },
    parameters: [{ name: 'query', type: 'string', form: 'llm', required: true }],
    parameters_json_schema: { type: 'object', properties: { query: { type: 'string' } }, required: ['query'] },
  };
  const deps = { execution_context: 'execution_context' };
  return { name: 'tools', type: 'dify.plugin.tools', deps, config: { tools: [tool] } };
}

/** Starts a run; the daemon answers its model calls with these. */
export function startFed(server: TestServer, daemon: FakeDaemon, ...llm: readonly Reply[]): Promise<string> {
  return createRun(server.url, fed(daemon, llm).body);
}

/** A reply that calls the tool. */
export function callReply(name: string): Reply {
  return [toolCallItem('call-1', name, '{"query":"x"}'), lastItem('tool_calls')];
}

/** A refusal in words that repeat the secrets. */
export function tellingReply(): Reply {
  const { credential, daemonKey } = SECRETS;
  return [pluginErrorItem('InvokeAuthorizationError', `the key ${credential} (or ${daemonKey}) is wrong`)];
}
