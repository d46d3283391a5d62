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

/** Microseconds for one, made or checked one after the other: with the way to the thread that encrypts, and back. */
export interface TokenCosts {
  readonly mint: number;
  /** A token that was never seen. */
  readonly check: number;
  /** One that was. */
  readonly checkAgain: number;
}

const WARM_UPS = 3;

/** What tokens cost on average of `count`, after three times as many to warm up: until the code that makes them is compiled. */
export async function tokenCosts(count: number): Promise<TokenCosts> {
  const context = contextOf();
  const tokens = ownCodec();
  const headers: string[] = [];
  const mint = async (): Promise<void> => {
    headers.push(`Bearer ${(await tokens.issue(context, 'abc12ff')).token}`);
  };
  await inTurn(mint, WARM_UPS * count);
  const mintCost = await inTurn(mint, count);
  const check = (codec: TokenCodec) => async (i: number) => {
    if (!(await codec.check(headers[i] ?? '')).ok) throw new Error('the token is refused');
  };
  await inTurn(check(ownCodec()), WARM_UPS * count);
  const checked = ownCodec();
  const first = await inTurn(check(checked), count);
  const known = Math.min(count, 1_000); // as many as are remembered at least
  await inTurn(check(checked), known);
  return { mint: mintCost, check: first, checkAgain: await inTurn(check(checked), known) };
}

function ownCodec(): TokenCodec {
  return createTokenCodec({ secrets: { current: SECRET, previous: [] }, ttlSeconds: 3600, clock: systemClock() });
}

async function inTurn(act: (i: number) => Promise<unknown>, count: number): Promise<number> {
  const start = performance.now();
  for (let i = 0; i < count; i++) await act(i);
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
