// The stub for tests: settings, a clock that is driven, tokens; its routes behind a real socket; and an HTTP client that is not
// the server's library (node:http).

import { request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import type { Clock } from '../../src/base/clock.ts';
import { loadSettings } from '../../src/config/load.ts';
import { type ExecutionContext, executionContextConfig } from '../../src/protocol/execution-context.ts';
import { answerFor } from '../../src/server/errors.ts';
import { STUB_PATHS } from '../../src/server/paths.ts';
import { internalServerError } from '../../src/server/responses.ts';
import { lateRouteApp } from '../../src/server/route-app.ts';
import { createRouteTable, methodNotAllowed, notFound, redirect } from '../../src/server/route-table.ts';
import { stubRoutes } from '../../src/server/routes/stub.ts';
import { parseTarget } from '../../src/server/target.ts';
import { createStub, type Stub, type StubSettingsPart } from '../../src/stub/stub.ts';
import { createTokenCodec, type TokenCodec } from '../../src/stub/tokens.ts';
import { validate } from '../../src/validation/walker.ts';
import { type Entry, recordingLogger } from '../server/support.ts';

/** Bytes 00…1f (spec 05 §2.4). */
export const SECRET = 'AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8';
export const OTHER_SECRET = Buffer.alloc(32, 7).toString('base64url');
/** 2026-05-28T20:26:40Z, the vector's `iat`. */
export const NOW = 1_780_000_000;

/** A clock that stands still. Seconds. */
export interface TestClock extends Clock {
  now: number;
}

export function testClock(now = NOW): TestClock {
  return {
    now,
    nowMicros() {
      return this.now * 1_000_000;
    },
  };
}

/** A validated context; everything that any operation needs, unless replaced. */
export function contextOf(change: Readonly<Record<string, unknown>> = {}): ExecutionContext {
  const result = validate(executionContextConfig, {
    tenant_id: 't-1',
    user_id: 'u-1',
    user_from: 'account',
    agent_id: 'a-1',
    agent_config_version_id: 'v-1',
    agent_config_version_kind: 'build_draft',
    agent_mode: 'workflow_run',
    invoke_from: 'service-api',
    ...change,
  });
  if (!result.ok) throw new Error(JSON.stringify(result.issues));
  return result.value;
}

export function codec(
  clock: Clock,
  secret = SECRET,
  previous: readonly string[] = [],
  ttlSeconds = 86_400,
): TokenCodec {
  return createTokenCodec({ secrets: { current: secret, previous }, ttlSeconds, clock });
}

/** The stub's part of the settings, from variables without their prefix. */
export function settingsOf(variables: Readonly<Record<string, string>>): StubSettingsPart {
  const env = Object.fromEntries(Object.entries(variables).map(([name, value]) => [`DIFY_AGENT_${name}`, value]));
  const loaded = loadSettings(env, null);
  if (!loaded.ok) throw new Error(loaded.problems.join('\n'));
  return loaded.settings;
}

/** A stub that listens. */
export interface TestStub {
  readonly url: string;
  readonly port: number;
  readonly stub: Stub;
  readonly clock: TestClock;
  readonly log: readonly Entry[];
  /** Connections whose idle time-out is lifted. */
  patient(): number;
  /** A token as a job gets it. */
  token(context?: Readonly<Record<string, unknown>>): Promise<string>;
  /** `path`: below `/agent-stub`. */
  ask(method: string, path: string, options?: AskOptions): Promise<Answer>;
  stop(): Promise<void>;
}

/** Starts one. The server around the routes is server.ts' in small: table, errors, nothing else. */
export function startStub(variables: Readonly<Record<string, string>>, clock = testClock()): TestStub {
  const log: Entry[] = [];
  let patient = 0;
  const stub = createStub(settingsOf(variables), { clock, logger: recordingLogger(log), userAgent: 'dify-agent/test' });
  const plugin = () =>
    stubRoutes({
      operations: () => stub.operations(),
      bodyTimeoutMs: 5_000,
      keepOpen(request) {
        patient += 1;
        server.timeout(request, 0);
        return () => {
          patient -= 1;
          server.timeout(request, 60);
        };
      },
    });
  const table = createRouteTable([{ routes: STUB_PATHS, to: lateRouteApp(async () => plugin(), false) }]);
  const server = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    reusePort: false,
    development: false,
    maxRequestBodySize: 2 ** 40,
    async fetch(request) {
      const { path, query } = parseTarget(request.url);
      const verdict = table.check(request.method, path);
      if (verdict.kind === 'not_found') return notFound();
      if (verdict.kind === 'redirect') return redirect(verdict.path, query, request.headers.get('host'), 'http');
      if (verdict.kind === 'method_not_allowed') return methodNotAllowed(request.method, verdict.allow);
      try {
        return await verdict.to.fetch(request);
      } catch (error) {
        return answerFor(error) ?? internalServerError();
      }
    },
  });
  const port = server.port ?? 0;
  return {
    url: `http://127.0.0.1:${port}/agent-stub`,
    port,
    stub,
    clock,
    log,
    patient: () => patient,
    async token(context = {}) {
      const { token } = await codec(clock).issue(contextOf(context), 'abc12ff');
      return token;
    },
    ask: (method, path, options = {}) => ask(port, method, `/agent-stub${path}`, options),
    async stop() {
      stub.close();
      await server.stop(true);
    },
  };
}

/** What goes with a request. */
export interface AskOptions {
  readonly token?: string;
  /** Sent as it is when it is a text or bytes, else as JSON. */
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

/** A whole answer. `json` is undefined when it is none. */
export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly bytes: Buffer;
  readonly json: unknown;
}

/** One request by node:http. */
export async function ask(port: number, method: string, path: string, options: AskOptions = {}): Promise<Answer> {
  const { token, body, headers = {} } = options;
  const sent = body === undefined || typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body);
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const request = httpRequest({
    host: '127.0.0.1',
    port,
    method,
    path,
    agent: false,
    headers: {
      ...(token === undefined ? {} : { Authorization: `Bearer ${token}` }),
      ...(sent === undefined ? {} : { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(sent) }),
      ...headers,
    },
  });
  request.on('error', reject);
  request.on('response', (response) => {
    const chunks: Buffer[] = [];
    response.on('data', (chunk: Buffer) => chunks.push(chunk));
    response.on('error', reject);
    response.on('aborted', () => reject(new Error('the answer was cut off')));
    response.on('end', () => {
      const bytes = Buffer.concat(chunks);
      resolve({ status: response.statusCode ?? 0, headers: response.headers, bytes, json: parse(bytes) });
    });
  });
  request.end(sent);
  return promise;
}

function parse(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString());
  } catch {
    return undefined;
  }
}
