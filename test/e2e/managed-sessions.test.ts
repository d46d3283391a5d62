// Sessions that survive the server: the compiled binary is killed at any moment, and another process goes on with what was stored.
// What must hold every time: the stored history is that of the runs that succeeded, each once and in order, and one run is active.

import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { join } from 'node:path';
import { type RedisProcess, startRedis } from '../support/redis-process.ts';
import { finish, get, type RunBody, runStatus, scripted } from '../support/runs.ts';
import { startServer, type TestServer, withFolder } from '../support/server.ts';
import { openSse } from '../support/sse.ts';
import { until } from '../support/until.ts';

/** Deaths of the test on SQLite; each costs a start of the server. */
const DEATHS = 8;

interface Session {
  readonly status: string;
  readonly rev: number;
  readonly active_run_id: string | null;
  readonly waiting_run_ids: readonly string[];
  readonly session_snapshot: {
    readonly layers: readonly { readonly name: string; readonly runtime_state: State }[];
  } | null;
}

interface State {
  readonly messages?: readonly {
    readonly parts: readonly { readonly part_kind: string; readonly content: string }[];
  }[];
}

async function sessionOf(url: string, key: string): Promise<Session> {
  const { status, text } = await get(`${url}/sessions/${key}?include=snapshot`);
  if (status !== 200) throw new Error(`${status} ${text}`);
  return JSON.parse(text) as Session; // docs/managed-sessions.md
}

/** The answers in the stored history. */
function answersOf({ session_snapshot: snapshot }: Session): readonly string[] {
  const messages = snapshot?.layers.find(({ name }) => name === 'history')?.runtime_state.messages ?? [];
  return messages.flatMap(({ parts }) =>
    parts.filter((part) => part.part_kind === 'text').map(({ content }) => content),
  );
}

async function submit(url: string, key: string, body: RunBody, conflict = 'enqueue') {
  const response = await fetch(`${url}/runs`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      'x-agent-session': key,
      'x-agent-session-conflict': conflict,
    },
    body: JSON.stringify(body),
    proxy: false,
  } as RequestInit);
  const text = await response.text();
  return { status: response.status, runId: response.ok ? (JSON.parse(text) as { run_id: string }).run_id : '', text };
}

/** Takes about as long as the words that it says, times 5 ms. */
const talk = (text: string, words = 8) =>
  scripted([[...Array.from({ length: words }, () => ({ text: '', delay_ms: 5 })), { text }]], { history: true });

/** The answers of the runs that succeeded, in this order. */
async function succeededOf(url: string, runs: ReadonlyMap<string, string>): Promise<readonly string[]> {
  const statuses = await Promise.all([...runs.keys()].map((id) => runStatus(url, id)));
  return [...runs].filter((_, i) => statuses[i]?.status === 'succeeded').map(([, text]) => text);
}

describe('on SQLite', () => {
  test(`${DEATHS} kills at any moment: no answer is lost, none comes twice, and the session goes on`, async () => {
    await withFolder(async (folder) => {
      const key = 'conversation:1';
      const env = { DIFY_AGENT_STORE_URL: `sqlite:${join(folder, 'x.db')}` };
      /** Run → what it answers. */
      const runs = new Map<string, string>();
      let server = await startServer({ env });
      try {
        for (let death = 0; death < DEATHS; death += 1) {
          // Two, so that one waits.
          for (const n of [0, 1]) {
            const text = `${death}.${n}`;
            const { runId } = await submit(server.url, key, talk(text));
            runs.set(runId, text);
          }
          const [last = ''] = [...runs.keys()].slice(-1);
          const [active = ''] = [...runs.keys()].slice(-2);
          await moment(death, server.url, active, last);
          server.kill('SIGKILL');
          await server.exited;
          await server.dispose();
          server = await startServer({ env });
          const session = await sessionOf(server.url, key);
          expect(session.active_run_id).toBeNull();
          expect(session.waiting_run_ids).toEqual([]);
          expect(answersOf(session)).toEqual(await succeededOf(server.url, runs));
          expect(session.rev).toBe(answersOf(session).length);
        }
        const { runId } = await submit(server.url, key, talk('last'), 'reject');
        runs.set(runId, 'last');
        await finish(server.url, runId);
        expect(answersOf(await sessionOf(server.url, key))).toEqual(await succeededOf(server.url, runs));
      } finally {
        await server.dispose();
      }
    });
  }, 180_000);
});

/** When to kill: after the 202, in the midst, as soon as a terminal event is seen, or some time. */
async function moment(death: number, url: string, active: string, last: string): Promise<void> {
  switch (death % 4) {
    case 0:
      return;
    case 1:
      await seen(url, active, 'pydantic_ai_event');
      return;
    case 2:
      await seen(url, active, 'run_succeeded');
      return;
    default:
      await seen(url, last, 'run_succeeded');
  }
}

/** Resolves as soon as an event of this type has arrived. */
async function seen(url: string, runId: string, type: string): Promise<void> {
  const hangUp = new AbortController();
  const { frames } = await openSse(url, runId, { signal: hangUp.signal });
  for await (const frame of frames) if (frame.event === type) break;
  hangUp.abort();
}

describe('on Redis', () => {
  let redis: RedisProcess;
  let servers: TestServer[] = [];
  const env = () => ({ DIFY_AGENT_STORE_URL: redis.url, DIFY_AGENT_RUN_LEASE_SECONDS: '2' });
  const at = (index: number): string => servers[index % servers.length]?.url ?? '';
  beforeAll(async () => {
    redis = await startRedis();
    servers = await Promise.all([startServer({ env: env() }), startServer({ env: env() })]);
  }, 180_000);
  afterAll(async () => {
    for (const server of servers) await server.dispose();
    await redis?.dispose();
  });

  test('runs that two processes are asked for at once take turns, each with what the one before left', async () => {
    const key = 'shared:1';
    const texts = Array.from({ length: 16 }, (_, i) => `t${i}`);
    const submitted = await Promise.all(texts.map((text, i) => submit(at(i), key, talk(text, 1))));
    const ends = await Promise.all(submitted.map(({ runId }, i) => finish(at(i), runId)));
    expect(ends.map(({ status }) => status.status)).toEqual(texts.map(() => 'succeeded'));
    const session = await until('the last end', async () => {
      const found = await sessionOf(at(1), key);
      return found.active_run_id === null && found;
    });
    expect([...answersOf(session)].sort()).toEqual([...texts].sort());
    expect(session.rev).toBe(texts.length);
  }, 60_000);

  test('one of two processes is refused when both are asked at once', async () => {
    for (let round = 0; round < 5; round += 1) {
      const key = `race:${round}`;
      const asked = await Promise.all([0, 1, 2, 3].map((i) => submit(at(i), key, talk('x'), 'reject')));
      expect(asked.map(({ status }) => status).sort()).toEqual([202, 409, 409, 409]);
      const winner = asked.findIndex(({ status }) => status === 202);
      await finish(at(winner), asked[winner]?.runId ?? '');
    }
  }, 60_000);

  test('a run is interrupted by the other process', async () => {
    const key = 'shared:2';
    const first = await submit(at(0), key, talk('too long', 2_000));
    const second = await submit(at(1), key, talk('instead'), 'interrupt');
    expect((await finish(at(1), second.runId)).status.status).toBe('succeeded');
    expect((await runStatus(at(1), first.runId)).status).toBe('cancelled');
    expect(answersOf(await sessionOf(at(0), key))).toEqual(['instead']);
  }, 60_000);

  test('a process dies with the active run: the one that waits at the other goes on when it is known to be dead', async () => {
    const key = 'shared:3';
    const dying = await startServer({ env: env() });
    try {
      const first = await submit(dying.url, key, talk('kept'));
      await finish(dying.url, first.runId);
      const active = await submit(dying.url, key, talk('lost', 2_000));
      await seen(dying.url, active.runId, 'run_started');
      const behind = await submit(dying.url, key, talk('lost, too'));
      const waiting = await submit(at(0), key, talk('goes on'));
      expect((await sessionOf(at(1), key)).waiting_run_ids).toEqual([behind.runId, waiting.runId]);
      dying.kill('SIGKILL');
      const run = await finish(at(1), waiting.runId);
      expect(run.terminal.output).toBe('goes on');
      for (const { runId } of [active, behind]) expect((await runStatus(at(1), runId)).error).toContain('has ended');
      const session = await until('its end', async () => {
        const found = await sessionOf(at(1), key);
        return found.active_run_id === null && found;
      });
      expect(answersOf(session)).toEqual(['kept', 'goes on']);
    } finally {
      await dying.dispose();
    }
  }, 60_000);

  test('a process dies right after the end of its run: the other one has it', async () => {
    const key = 'shared:4';
    const dying = await startServer({ env: env() });
    try {
      const { runId } = await submit(dying.url, key, talk('kept'));
      await seen(dying.url, runId, 'run_succeeded');
      dying.kill('SIGKILL');
      await dying.exited;
      expect(answersOf(await sessionOf(at(0), key))).toEqual(['kept']);
      const next = await submit(at(1), key, talk('more'), 'reject');
      await finish(at(1), next.runId);
      const session = await until('its end', async () => {
        const found = await sessionOf(at(0), key);
        return found.active_run_id === null && found;
      });
      expect(answersOf(session)).toEqual(['kept', 'more']);
    } finally {
      await dying.dispose();
    }
  }, 60_000);
});
