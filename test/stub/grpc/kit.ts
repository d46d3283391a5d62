// The stub's gRPC service for tests, a client of it from another library (connect-node), and bare HTTP/2.

import { type ClientHttp2Session, connect, type IncomingHttpHeaders } from 'node:http2';
import { type CallOptions, Code, ConnectError, createClient } from '@connectrpc/connect';
import { createGrpcTransport } from '@connectrpc/connect-node';
import { createStubGrpcServer, type StubGrpcOptions, type StubGrpcServer } from '../../../src/stub/grpc/server.ts';
import { createStub, type Stub } from '../../../src/stub/stub.ts';
import { type Entry, recordingLogger } from '../../server/support.ts';
import { codec, contextOf, settingsOf, type TestClock, testClock } from '../kit.ts';
import { SERVICE } from './descriptors.ts';

/** A client of the service. */
export interface StubClient {
  connect(
    message: { readonly protocolVersion?: number; readonly argv?: string[]; readonly metadataJson?: string },
    options?: CallOptions,
  ): Promise<{ readonly connectionId: string; readonly status: string }>;
  createFileUploadRequest(
    message: { readonly filename: string; readonly mimetype: string },
    options?: CallOptions,
  ): Promise<{ readonly uploadUrl: string }>;
  createFileDownloadRequest(
    message: { readonly file?: object; readonly forFrontend?: boolean },
    options?: CallOptions,
  ): Promise<{
    readonly filename: string;
    readonly mimeType?: string;
    readonly size: bigint;
    readonly downloadUrl: string;
  }>;
}

/** A service that listens on 127.0.0.1. */
export interface TestGrpc {
  readonly port: number;
  readonly server: StubGrpcServer;
  readonly stub: Stub;
  readonly clock: TestClock;
  readonly log: readonly Entry[];
  readonly client: StubClient;
  token(context?: Readonly<Record<string, unknown>>): Promise<string>;
  stop(): Promise<void>;
}

/** Starts one; variables without their prefix. */
export async function startGrpc(
  variables: Readonly<Record<string, string>>,
  options: Partial<StubGrpcOptions> = {},
): Promise<TestGrpc> {
  const clock = testClock();
  const log: Entry[] = [];
  const logger = recordingLogger(log);
  const stub = createStub(settingsOf(variables), { clock, logger, userAgent: 'dify-agent/test' });
  const server = createStubGrpcServer({
    operations: () => stub.operations(),
    bind: '127.0.0.1:0',
    tls: null,
    logger,
    ...options,
  });
  const port = await server.start();
  return {
    port,
    server,
    stub,
    clock,
    log,
    client: clientOf(`${options.tls == null ? 'http' : 'https'}://127.0.0.1:${port}`),
    async token(context = {}) {
      return (await codec(clock).issue(contextOf(context), 'abc12ff')).token;
    },
    async stop() {
      await server.stop();
      stub.close();
    },
  };
}

/** `nodeOptions`: of the HTTP/2 session. */
export function clientOf(baseUrl: string, nodeOptions: Readonly<Record<string, unknown>> = {}): StubClient {
  const client = createClient(SERVICE, createGrpcTransport({ baseUrl, nodeOptions, idleConnectionTimeoutMs: 1_000 }));
  // The descriptor is made at run time, so its types say nothing of its methods: they are the interface's.
  return client as unknown as StubClient;
}

/** With a token. */
export const bearer = (token: string) => ({ headers: { authorization: `Bearer ${token}` } });

/** `CODE: message` of what a call ends with. */
export async function refusalOf(call: Promise<unknown>): Promise<string> {
  try {
    await call;
  } catch (error) {
    if (error instanceof ConnectError) return `${Code[error.code]}: ${error.rawMessage}`;
    throw error;
  }
  return 'accepted';
}

/** What a bare stream ended with. */
export interface BareAnswer {
  readonly status: number;
  readonly grpcStatus: string;
  readonly message: string;
}

/** One stream with these headers and bytes; `end` false: it is left open. `broken`: the connection breaks then. */
export async function bareCall(
  port: number,
  headers: Readonly<Record<string, string>>,
  body: Buffer,
  end = true,
  broken: Promise<void> | null = null,
): Promise<BareAnswer> {
  const session: ClientHttp2Session = connect(`http://127.0.0.1:${port}`);
  const { promise, resolve, reject } = Promise.withResolvers<BareAnswer>();
  session.on('error', reject);
  const stream = session.request({ ':method': 'POST', 'content-type': 'application/grpc', te: 'trailers', ...headers });
  let found: IncomingHttpHeaders & { readonly ':status'?: number | undefined } = {};
  stream.on('response', (response) => {
    found = { ...found, ...response };
  });
  stream.on('trailers', (trailers) => {
    found = { ...found, ...trailers };
  });
  stream.on('error', reject);
  stream.on('data', () => {});
  stream.on('end', () => {
    resolve({
      status: Number(found[':status'] ?? 0),
      grpcStatus: String(found['grpc-status'] ?? ''),
      message: decodeURIComponent(String(found['grpc-message'] ?? '')),
    });
  });
  void broken?.then(() => session.destroy(new Error('broken')));
  if (end) stream.end(body);
  else stream.write(body);
  try {
    return await promise;
  } finally {
    session.destroy();
  }
}

/** A message with its gRPC prefix. */
export function framed(message: Buffer): Buffer {
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}
