// Calls of the gRPC service are counted like requests over HTTP: the same metrics, by path and by the status that stands for theirs.

import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { AsyncLocalStorage } from 'node:async_hooks';
import { createMeter, type Meter } from '../../../src/observe/metrics/meter.ts';
import type { RequestFacts } from '../../../src/observe/probe.ts';
import { PATHS } from '../../../src/stub/grpc/schema.ts';
import { type FakeDifyApi, startFakeDifyApi } from '../../fakes/dify-api.ts';
import { until } from '../../support/until.ts';
import { SECRET } from '../kit.ts';
import { startGrpc, type TestGrpc } from './kit.ts';

let api: FakeDifyApi;
let grpc: TestGrpc;
let meter: Meter;
const begun: RequestFacts[] = [];

beforeAll(async () => {
  api = startFakeDifyApi();
  meter = createMeter();
  const variables = { SERVER_SECRET_KEY: SECRET, INNER_API_URL: api.url, INNER_API_KEY: api.innerKey };
  grpc = await startGrpc(variables, {
    probe: {
      request(facts) {
        begun.push(facts);
        return meter.probe.request(facts);
      },
    },
  });
});
afterAll(async () => {
  await grpc.stop();
  await api.stop();
});

const count = (path: string, status: number) => meter.http.requests.of(path, 'POST', String(status)).total;
const headersOf = async () => ({ headers: { authorization: `Bearer ${await grpc.token()}` } });
const UPLOAD = { filename: 'a', mimetype: 'b' };

describe('a call is counted once, by its path and the HTTP status of its end', () => {
  test('answered; refused by the doorman; refused by the method', async () => {
    const options = await headersOf();
    await grpc.client.connect({ protocolVersion: 1, argv: ['x'] }, options);
    await grpc.client.connect({ protocolVersion: 1 }).catch(() => {});
    await grpc.client.connect({ protocolVersion: 2 }, options).catch(() => {});
    api.misbehave({ kind: 'hang' });
    await grpc.client.createFileUploadRequest(UPLOAD, { ...options, timeoutMs: 100 }).catch(() => {});
    await until('nothing to be open', () => meter.http.open === 0);
    expect([200, 401, 400].map((status) => count(PATHS.connect, status))).toEqual([1, 1, 1]);
    expect(count(PATHS.upload, 499) + count(PATHS.upload, 504)).toBe(1);
    expect(begun.map(({ method, route }) => [method, route])).toEqual([
      ...Array.from({ length: 3 }, () => ['POST', PATHS.connect]),
      ['POST', PATHS.upload],
    ]);
  });

  test('the context of a trace is handed on as it came', async () => {
    const { headers } = await headersOf();
    const traceparent = `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`;
    await grpc.client.connect({ protocolVersion: 1 }, { headers: { ...headers, traceparent, tracestate: 'x=1' } });
    expect(begun.at(-1)).toMatchObject({ traceparent, tracestate: 'x=1' });
  });
});

test('what a call does happens within it', async () => {
  const current = new AsyncLocalStorage<string>();
  const seen: unknown[] = [];
  const own = await startGrpc(
    { SERVER_SECRET_KEY: SECRET },
    {
      probe: { request: () => ({ within: (work) => current.run('the call', work), end() {} }) },
      // Asked twice: by the doorman, and by the method.
      operations() {
        seen.push(current.getStore());
        return own.stub.operations();
      },
    },
  );
  try {
    await own.client.connect({ protocolVersion: 1 }, { headers: { authorization: `Bearer ${await own.token()}` } });
    expect(seen).toEqual(['the call', 'the call']);
  } finally {
    await own.stop();
  }
});

test('the connections to the Dify API can be looked at, before and after the first call', async () => {
  const { stub, client } = grpc;
  expect((await startedWithout()).load()).toBeNull();
  api.misbehave({ kind: 'hang' });
  const abort = new AbortController();
  const call = client.createFileUploadRequest(UPLOAD, { ...(await headersOf()), signal: abort.signal }).catch(() => {});
  await until('the call to hold a connection', () => stub.load()?.active === 1);
  abort.abort();
  await call;
  await until('it to be given back', () => stub.load()?.active === 0);
  expect(stub.load()).toEqual({ active: 0, waiting: 0 });
});

/** A stub without a Dify API. */
async function startedWithout() {
  const bare = await startGrpc({ SERVER_SECRET_KEY: SECRET });
  await bare.stop();
  return bare.stub;
}
