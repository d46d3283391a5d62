// The measurements of issue STUB: what a token costs, how many calls the compiled binary answers over HTTP and over gRPC with a
// client in a process of its own, and what the stub costs a server's start.

import { systemClock } from '../../src/base/clock.ts';
import { createTokenCodec, type TokenCodec } from '../../src/stub/tokens.ts';
import { freePort } from '../faults/kill-loop.ts';
import { contextOf, SECRET } from '../stub/kit.ts';
import { startProcess, type TestServer, withServer } from '../support/server.ts';
import { until } from '../support/until.ts';
import { cpuMs } from './proc.ts';
import { driveStubApart, type StubJob } from './stub-driver.ts';

/** Microseconds for one. Each waits for a thread that encrypts, whose way there and back costs as much as the rest. */
export interface TokenCosts {
  readonly mint: number;
  /** A token that was never seen. */
  readonly check: number;
  /** One that was. */
  readonly checkAgain: number;
}

/** Made or checked at once: the way to the thread is shared then, as in a server that is asked by several. */
const AT_ONCE = 8;
const WARM_UPS = 3;

/** What tokens cost on average of `count`, after three times as many to warm up: several at once, and one after the other. */
export async function tokenCosts(
  count: number,
): Promise<{ readonly together: TokenCosts; readonly alone: TokenCosts }> {
  await tokens(WARM_UPS * count, AT_ONCE);
  return { together: await tokens(count, AT_ONCE), alone: await tokens(count, 1) };
}

async function tokens(count: number, width: number): Promise<TokenCosts> {
  const context = contextOf();
  const codec = ownCodec();
  const headers: string[] = [];
  const mint = await inTurns(count, width, async () => {
    headers.push(`Bearer ${(await codec.issue(context, 'abc12ff')).token}`);
  });
  const fresh = ownCodec();
  const check = async (i: number): Promise<void> => {
    if (!(await fresh.check(headers[i] ?? '')).ok) throw new Error('the token is refused');
  };
  const first = await inTurns(count, width, check);
  const known = Math.min(count, 1_000); // as many as are remembered at least
  await inTurns(known, width, check);
  return { mint, check: first, checkAgain: await inTurns(known, width, check) };
}

function ownCodec(): TokenCodec {
  return createTokenCodec({ secrets: { current: SECRET, previous: [] }, ttlSeconds: 3600, clock: systemClock() });
}

/** Microseconds per act, `width` of them at a time. */
async function inTurns(count: number, width: number, act: (i: number) => Promise<unknown>): Promise<number> {
  const start = performance.now();
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < count) await act(next++);
  };
  await Promise.all(Array.from({ length: width }, worker));
  return ((performance.now() - start) / count) * 1000;
}

/** How many calls were answered. */
export interface StubRate {
  readonly perSecond: number;
  /** Of the server, user and system: what does not change when somebody else uses the machine. */
  readonly cpuMicrosPerCall: number;
}

const STUB = { DIFY_AGENT_SERVER_SECRET_KEY: SECRET, DIFY_AGENT_STUB_RATE_LIMIT: '0' };

/** `connections` calls over HTTP, on `width` keep-alive connections with a token each. */
export async function httpConnections(calls: number, width: number): Promise<StubRate> {
  return withServer({ env: STUB }, (server) => rate(server, 'http', server.url, calls, width));
}

/** `Connect` calls over gRPC, `width` at once with one token, on one connection: as a client's library makes them. */
export async function grpcConnections(calls: number, width: number): Promise<StubRate> {
  const address = `127.0.0.1:${await freePort()}`;
  const env = { ...STUB, DIFY_AGENT_STUB_URL: `grpc://${address}`, DIFY_AGENT_STUB_GRPC_BIND_ADDRESS: address };
  return withServer({ env }, (server) => rate(server, 'grpc', `http://${address}`, calls, width));
}

async function rate(
  server: TestServer,
  protocol: StubJob['protocol'],
  url: string,
  calls: number,
  width: number,
): Promise<StubRate> {
  const codec = ownCodec();
  const { token } = await codec.issue(contextOf(), 'abc12ff');
  const tokens = await Promise.all(
    Array.from({ length: width }, async () =>
      protocol === 'grpc' ? token : (await codec.issue(contextOf(), 'abc12ff')).token,
    ),
  );
  const job = { protocol, url, tokens, calls, warmUp: Math.ceil(calls / 10) };
  await driveStubApart(job); // the server's code takes some ten thousand calls to get fast
  const before = cpuMs(server.pid);
  const perSecond = await driveStubApart(job);
  return { perSecond, cpuMicrosPerCall: ((cpuMs(server.pid) - before) * 1000) / (calls + job.warmUp) };
}

/** Milliseconds of CPU from spawning the binary to its first 200, without and with a stub. */
export async function startCosts(): Promise<{ readonly bare: number; readonly configured: number }> {
  const configured = { ...STUB, DIFY_AGENT_STUB_URL: 'https://agent.example.com/agent-stub' };
  return { bare: await startCpuMs({}), configured: await startCpuMs(configured) };
}

async function startCpuMs(env: Readonly<Record<string, string>>): Promise<number> {
  const port = await freePort();
  const running = await startProcess({ env: { ...env, DIFY_AGENT_PORT: String(port) } });
  try {
    await until(
      'the first 200',
      async () => (await fetch(`http://127.0.0.1:${port}/healthz`, { proxy: false } as RequestInit)).status === 200,
      { everyMs: 0 },
    );
    return cpuMs(running.pid);
  } finally {
    await running.dispose();
  }
}
