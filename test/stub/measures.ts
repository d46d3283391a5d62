// Measurements of the stub: what a token costs, and how many `connections` calls a server answers. For test/bench; run directly
// it measures a server of the routes alone, in a process of its own.

import { systemClock } from '../../src/base/clock.ts';
import { createTokenCodec } from '../../src/stub/tokens.ts';
import { Connection, postRequest } from '../bench/http1.ts';
import { contextOf, SECRET, startStub } from './kit.ts';

/** Microseconds. */
export interface TokenCosts {
  /** One after the other: with the way to the thread that encrypts, and back. */
  readonly mint: number;
  readonly check: number;
  /** Many at once: what one takes of the machine. */
  readonly mintMany: number;
  readonly checkMany: number;
}

/** What making and checking a token costs, on average of `count`, after as many to warm up. */
export async function tokenCosts(count: number): Promise<TokenCosts> {
  const tokens = createTokenCodec({
    secrets: { current: SECRET, previous: [] },
    ttlSeconds: 3600,
    clock: systemClock(),
  });
  const context = contextOf();
  const mint = () => tokens.issue(context, 'abc12ff');
  const header = `Bearer ${(await mint()).token}`;
  const check = async (): Promise<void> => {
    if (!(await tokens.check(header)).ok) throw new Error('the token is refused');
  };
  await inTurn(mint, count);
  await inTurn(check, count);
  return {
    mint: await inTurn(mint, count),
    check: await inTurn(check, count),
    mintMany: await atOnce(mint, count),
    checkMany: await atOnce(check, count),
  };
}

async function inTurn(act: () => Promise<unknown>, count: number): Promise<number> {
  const start = performance.now();
  for (let i = 0; i < count; i++) await act();
  return ((performance.now() - start) / count) * 1000;
}

async function atOnce(act: () => Promise<unknown>, count: number): Promise<number> {
  const start = performance.now();
  await Promise.all(Array.from({ length: count }, act));
  return ((performance.now() - start) / count) * 1000;
}

/**
 * `connections` calls per second that a server answers, over `width` keep-alive connections with a token each.
 *
 * @param url the server's, without path; its secret is SECRET and it has no rate limit
 */
export async function connectionsPerSecond(url: string, calls: number, width: number): Promise<number> {
  const tokens = createTokenCodec({
    secrets: { current: SECRET, previous: [] },
    ttlSeconds: 3600,
    clock: systemClock(),
  });
  const body = JSON.stringify({ protocol_version: 1, argv: ['ls', '-l'], metadata: {} });
  const lanes = await Promise.all(
    Array.from({ length: width }, async () => {
      const { token } = await tokens.issue(contextOf(), 'abc12ff');
      const request = postRequest('/agent-stub/connections', body, { Authorization: `Bearer ${token}` });
      return { connection: new Connection(url), request };
    }),
  );
  const drive = async (total: number): Promise<number> => {
    const start = performance.now();
    let left = total;
    await Promise.all(
      lanes.map(async ({ connection, request }) => {
        while (left > 0) {
          left -= 1;
          const { status, body: text } = await connection.send(request);
          if (status !== 200) throw new Error(`${status} ${text}`);
        }
      }),
    );
    return (total / (performance.now() - start)) * 1000;
  };
  await drive(Math.ceil(calls / 4)); // to warm up
  const perSecond = await drive(calls);
  for (const { connection } of lanes) connection.close();
  return perSecond;
}

/** A server of the routes in a process of its own. */
export async function startStubProcess(): Promise<{ readonly url: string; stop(): void }> {
  const script = new URL(import.meta.url).pathname;
  const child = Bun.spawn([process.execPath, script, 'serve'], { stdout: 'pipe', stderr: 'inherit' });
  const reader = child.stdout.getReader();
  const { value } = await reader.read();
  reader.releaseLock();
  return { url: new TextDecoder().decode(value).trim(), stop: () => child.kill() };
}

async function main(): Promise<void> {
  if (process.argv[2] === 'serve') {
    const now = Math.floor(Date.now() / 1000);
    const { port } = startStub(
      { SERVER_SECRET_KEY: SECRET, STUB_RATE_LIMIT: '0' },
      { now, nowMicros: () => Date.now() * 1000 },
    );
    console.log(`http://127.0.0.1:${port}`);
    return;
  }
  console.log(await tokenCosts(5_000));
  const server = await startStubProcess();
  console.log(`${Math.round(await connectionsPerSecond(server.url, 20_000, 32))} connections/s`);
  server.stop();
}

if (import.meta.main) await main();
