// A process that does one thing with a session and can be told to stop dead at any step of it: before or after the n-th call
// of a method of the store or the client, or when the run's last event has arrived. It then says so and waits to be killed.
// kill.test.ts starts it with one argument, a `KillJob` as JSON.

import {
  Client,
  type Composition,
  executionContext,
  history,
  isTerminal,
  plainPrompt,
  type RunEvent,
  type ScriptedItem,
  scriptedLlm,
  shell,
} from '../../src/client/index.ts';
import { AgentSessions, type Scope, type SessionClient, type SessionStore } from '../../src/sessions/index.ts';
import { openSqliteSessionStore } from '../../src/sessions/sqlite.ts';

export type StoreAddress = { readonly sqlite: string } | { readonly redis: string; readonly prefix: string };

export interface KillJob {
  readonly url: string;
  readonly store: StoreAddress;
  readonly scope: Scope;
  readonly task: 'first' | 'turn' | 'failing' | 'checked' | 'rebased' | 'asking' | 'answer' | 'end' | 'recover';
  /** What the caller calls this turn. */
  readonly key: string;
  /** Where to stop; null: nowhere. */
  readonly stopAt: string | null;
}

/** Leases of these tests, ms. Nobody waits for them: kill-time.ts lets them lapse. */
const LEASE_MS = 30_000;
/** What a clean-up may take, ms. */
const CLEANUP_MS = 20_000;

/** Opens the store of a job. */
export async function openStore(address: StoreAddress): Promise<SessionStore> {
  if ('sqlite' in address) return openSqliteSessionStore(address.sqlite);
  // Loaded when it is needed: a process is started for every kill.
  const [{ createClient }, { redisSessionStore }] = await Promise.all([
    import('redis'),
    import('../../src/sessions/redis.ts'),
  ]);
  const client = createClient({ url: address.redis });
  client.on('error', () => {});
  await client.connect();
  const store = redisSessionStore(client, { prefix: address.prefix });
  return { ...bound(store), close: async () => client.destroy() };
}

/** The methods, so that they can be spread and replaced. */
function bound(store: SessionStore): SessionStore {
  return wrapped(store, async () => {});
}

/** Calls `step` with `before …` and `after …` around every method. */
function wrapped<T extends object>(target: T, step: (name: string) => Promise<void>): T {
  const names = new Set<string>();
  for (let at = target; at !== Object.prototype; at = Object.getPrototypeOf(at)) {
    for (const name of Object.getOwnPropertyNames(at)) if (name !== 'constructor') names.add(name);
  }
  // Methods alone, by their names.
  const methods = target as Record<string, (...args: unknown[]) => unknown>;
  const stepping = [...names].map((name) => {
    const call = (...args: unknown[]): unknown => {
      const method = methods[name] as (...args: unknown[]) => unknown; // one of `names`
      if (name === 'listActive' || name === 'listTurns' || name === 'streamEvents') return method.apply(target, args);
      // Signs of life come when they come; they are no step of a transition.
      if (name === 'keepTurn' && args[3] === undefined) return method.apply(target, args);
      return (async () => {
        await step(`before ${name}`);
        const result = await method.apply(target, args);
        await step(`after ${name}`);
        return result;
      })();
    };
    return [name, call] as const;
  });
  return Object.fromEntries(stepping) as T;
}

const context = executionContext({ tenant_id: 't-1' });

/** The layers of a turn that says what `items` say. */
function layersOf(items: readonly ScriptedItem[], more: boolean): Composition {
  const extra = more
    ? [plainPrompt({ name: 'extra', prefix: 'And kind.' })]
    : [shell({ context, env: [{ name: 'A_TOKEN', value: 'x' }] })];
  const llm = scriptedLlm({ turns: [{ items }] } as Parameters<typeof scriptedLlm>[0]); // the script is JSON
  return {
    layers: [
      plainPrompt({ prefix: 'Be terse.', user: 'Hello?' }),
      context,
      history(),
      { name: 'ask_human', type: 'dify.ask_human' },
      ...extra,
      llm,
    ],
  };
}

const question = {
  id: 'call_1',
  name: 'ask_human',
  arguments: { question: 'May I?', fields: [{ type: 'paragraph', name: 'why', label: 'Why?' }] },
};

async function perform({ task, scope, key }: KillJob, sessions: AgentSessions, store: SessionStore): Promise<unknown> {
  const options = { onConflict: 'wait' } as const;
  // Keys are the server's, not the session's: two sessions that say the same under one key would share a run.
  const idempotency_key = `${scope.ownerId}:${key}`;
  const run = (items: readonly ScriptedItem[], more = false) =>
    sessions.run(scope, () => ({ composition: layersOf(items, more), idempotency_key }), {
      ...options,
      ...(more ? { onTopologyChange: 'rebase' as const } : {}),
    });
  switch (task) {
    case 'first':
    case 'turn':
      return run([{ text: `answer to ${key}` }]);
    case 'checked': {
      const says = (attempt: number) => [{ text: `${attempt === 1 ? 'bad ' : ''}answer to ${key}` }];
      return sessions.run(scope, ({ attempt }) => ({ composition: layersOf(says(attempt), false), idempotency_key }), {
        ...options,
        check: (output) => (String(output).startsWith('bad') ? 'it is bad' : null),
      });
    }
    case 'rebased':
      return run([{ text: `answer to ${key}` }], true);
    case 'failing':
      // A call that is no JSON and no second turn in the script: the run fails.
      return run([{ tool_call: { id: 'x', name: 'no_such_tool', arguments: '{}' } }]);
    case 'asking':
      return run([{ tool_call: question }]);
    case 'answer': {
      const build = () => ({ composition: layersOf([{ text: `answer to ${key}` }], false), idempotency_key });
      return sessions.resume(scope, { status: 'submitted' }, build, options);
    }
    case 'end':
      return sessions.end(scope, { timeoutMs: CLEANUP_MS });
    case 'recover':
      return recover(sessions, store, scope);
  }
}

/** What a worker does after a crash: drains until nothing is owed and no turn is without an owner. */
async function recover(sessions: AgentSessions, store: SessionStore, scope: Scope): Promise<unknown> {
  const stop = new AbortController();
  const draining = sessions.drain({ loop: true, pollMs: 50, timeoutMs: CLEANUP_MS, signal: stop.signal });
  for (;;) {
    await Bun.sleep(20);
    if ((await store.backlog()).entries > 0 || (await hasTurns(store, scope))) continue;
    stop.abort();
    return draining;
  }
}

async function hasTurns(store: SessionStore, owner: Scope): Promise<boolean> {
  for await (const _ of store.listTurns({ owner })) return true;
  return false;
}

/** Does a job in this process; `step` is called around every call of the store and the client. */
export async function doJob(job: KillJob, step: (name: string) => Promise<void>): Promise<unknown> {
  const client: SessionClient = new Client({ baseUrl: job.url });
  const stepping: SessionClient = {
    ...wrapped(client, step),
    async *streamEvents(...args): AsyncGenerator<RunEvent, void, void> {
      for await (const event of client.streamEvents(...args)) {
        if (isTerminal(event)) await step('at the last event');
        yield event;
      }
    },
  };
  const store = await openStore(job.store);
  try {
    const options = { leaseMs: LEASE_MS, retryFirstMs: 20, retryMaxMs: 100 };
    const sessions = new AgentSessions({ client: stepping, store: wrapped(store, step), ...options });
    return await perform(job, sessions, store);
  } finally {
    await store.close();
  }
}

async function main(): Promise<void> {
  const job = JSON.parse(process.argv[2] ?? '') as KillJob; // kill.test.ts wrote it
  const counts = new Map<string, number>();
  // Killed while it waits for this.
  const never = new Promise<void>(() => setInterval(() => {}, 1_000));
  let stopped = false;
  async function step(name: string): Promise<void> {
    if (stopped) return never;
    const n = (counts.get(name) ?? 0) + 1;
    counts.set(name, n);
    const point = `${name} ${n}`;
    console.log(`step ${point}`);
    if (point !== job.stopAt) return;
    stopped = true;
    console.log('stopped');
    return never;
  }
  console.log(`result ${JSON.stringify(await doJob(job, step))}`);
  process.exit(0);
}

if (import.meta.main) void main();
