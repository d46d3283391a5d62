// The same proof over gRPC: the compiled server's service, the compiled binary's client, and HTTP beside it.

import { afterAll, beforeAll, expect, test } from 'bun:test';
import { PATHS } from '../../src/stub/grpc/schema.ts';
import { valuesOf } from '../observe/metrics/kit.ts';
import { bearer, clientOf, refusalOf } from '../stub/grpc/kit.ts';
import { get } from '../support/runs.ts';
import { roundTrip } from './round-trip.ts';
import { type SandboxChain, startSandboxChain } from './sandbox-kit.ts';

let chain: SandboxChain;
beforeAll(async () => {
  chain = await startSandboxChain('grpc');
}, 180_000);
afterAll(() => chain.stop());

test('16 MiB go up and come down unchanged', async () => {
  expect(chain.stubUrl).toStartWith('grpc://');
  await roundTrip(chain);
}, 120_000);

test('what has no call there says so', async () => {
  const { results } = await chain.run(['dify-agent connect hello', 'dify-agent drive list; echo "exit $?"']);
  expect(results[0]?.output).toStartWith('connected ');
  expect(results[1]?.output).toBe('invalid Agent Stub base URL: HTTP Agent Stub URLs must use http or https\nexit 1\n');
}, 60_000);

test('a client of another library is refused without a token, and HTTP is still there', async () => {
  const client = clientOf(chain.stubUrl.replace('grpc:', 'http:'));
  expect(await refusalOf(client.connect({ protocolVersion: 1 }, bearer('nonsense')))).toBe(
    'Unauthenticated: invalid or missing Agent Stub authorization',
  );
  const response = await fetch(`${chain.server.url}/agent-stub/connections`, { method: 'POST', body: '{}' });
  expect([response.status, await response.json()]).toEqual([
    401,
    { detail: 'invalid or missing Agent Stub authorization' },
  ]);
});

test('the metrics have its calls, and the connections to the Dify API', async () => {
  const values = valuesOf((await get(`${chain.server.url}/metrics`)).text);
  const calls = (method: keyof typeof PATHS, status: number) =>
    values.get(`dify_agent_http_requests_total{route="${PATHS[method]}",method="POST",status="${status}"}`) ?? 0;
  expect(calls('connect', 200)).toBeGreaterThan(0);
  expect(calls('connect', 401)).toBe(1);
  expect([calls('upload', 200), calls('download', 200)]).not.toContain(0);
  expect(values.get('dify_agent_peer_connections{peer="dify_api",state="active"}')).toBe(0);
  expect(values.get('dify_agent_peer_connections_limit{peer="dify_api"}')).toBe(32);
});

test('a stop ends the service, too', async () => {
  const exit = await chain.server.stop();
  expect(exit).toEqual({ code: 0, signal: null });
  expect(chain.server.stderrLines.filter((line) => /"level":"error"/.test(line))).toEqual([]);
}, 30_000);
