// The gRPC face of the Agent Stub (spec 05 §6): the same operations, tokens and texts as over HTTP. The library is grpc-js;
// this file is loaded only when a `grpc://` URL is configured.

import { readFileSync } from 'node:fs';
import { createSecureContext } from 'node:tls';
import {
  type handleUnaryCall,
  logVerbosity,
  Server,
  ServerCredentials,
  type ServerUnaryCall,
  type sendUnaryData,
  setLogVerbosity,
  status,
} from '@grpc/grpc-js';
import { CodedError, errorText } from '../../base/errors.ts';
import type { Logger } from '../../observe/logger.ts';
import type { Probe } from '../../observe/probe.ts';
import { parseJson } from '../../wiretext/json.ts';
import type { StubCaller } from '../caller.ts';
import { InvalidStubRequest } from '../errors.ts';
import type { StubOperations } from '../operations.ts';
import { createDoorman } from './doorman.ts';
import { type Codec, createCodecs, PATHS } from './schema.ts';
import { type GrpcRefusal, refusalOf } from './status.ts';
import { createTeller } from './teller.ts';

/** Largest message (spec 05 §12.1). */
const MAX_MESSAGE_BYTES = 4 * 1024 * 1024;
/** How long a stop waits for calls that are under way, ms. */
const DRAIN_MS = 5_000;
/** Calls at once on one connection. */
const MAX_STREAMS = 256;
/** A connection without a call is closed after this long, also one on which nothing was ever said, ms. Clients come back. */
const IDLE_MS = 60_000;
/** One with calls is asked this often whether its client is still there, and may take so long to answer, ms. */
const PING_MS = 30_000;
const PONG_MS = 10_000;

export interface StubGrpcOptions {
  /** Made at the first call. */
  readonly operations: () => Promise<StubOperations>;
  /** `host:port`, IPv6 in brackets; port 0: any. */
  readonly bind: string;
  /** PEM files; null: plaintext. */
  readonly tls: { readonly certFile: string; readonly keyFile: string } | null;
  readonly logger: Logger;
  /** Told of every call. Default: nobody. */
  readonly probe?: Pick<Probe, 'request'>;
  /**
   * Other timings than the usual ones; for tests. Milliseconds: for a request to arrive; for a stop to wait; for a connection
   * without calls; between two questions whether a client is there.
   */
  readonly timings?: {
    readonly messageMs?: number;
    readonly drainMs?: number;
    readonly idleMs?: number;
    readonly pingMs?: number;
  };
}

export interface StubGrpcServer {
  /** Listens; resolves with the port. Rejects with a CodedError whose text names the variable. */
  start(): Promise<number>;
  /** Takes no new calls, waits for those under way (bounded), closes. Never rejects. */
  stop(): Promise<void>;
}

export function createStubGrpcServer(options: StubGrpcOptions): StubGrpcServer {
  const { operations, logger, timings = {} } = options;
  // What it would print to standard error is in the errors that it gives us.
  setLogVerbosity(logVerbosity.NONE);
  const codecs = createCodecs();
  const doorman = createDoorman({
    authenticate: async (authorization) => (await operations()).authenticate(authorization),
    refusal: (error) => refusalOf(error, 'invalid Agent Stub request') ?? unexpected('authentication', error),
    ...(timings.messageMs === undefined ? {} : { messageMs: timings.messageMs }),
  });
  const server = new Server({
    'grpc.max_receive_message_length': MAX_MESSAGE_BYTES,
    'grpc.max_send_message_length': MAX_MESSAGE_BYTES,
    'grpc.max_concurrent_streams': MAX_STREAMS,
    'grpc.max_connection_idle_ms': timings.idleMs ?? IDLE_MS,
    'grpc.keepalive_time_ms': timings.pingMs ?? PING_MS,
    'grpc.keepalive_timeout_ms': PONG_MS,
    interceptors:
      options.probe === undefined ? [doorman.interceptor] : [createTeller(options.probe), doorman.interceptor],
  });

  function unexpected(path: string, error: unknown): GrpcRefusal {
    logger.error('agent stub: unexpected error', { method: path, error });
    return { code: status.INTERNAL, details: 'internal Agent Stub error' };
  }

  /** A method: the doorman has seen the token; then the message, then the operation. */
  function method<Q, A>(
    path: string,
    request: Codec<Q>,
    answer: Codec<A>,
    invalid: string,
    work: (stub: StubOperations, caller: StubCaller, message: Q, signal: AbortSignal) => Promise<A>,
  ) {
    const handle: handleUnaryCall<Buffer, A> = (call, callback) => {
      const abort = new AbortController();
      let answered = false;
      // The library says so at the end of every call.
      call.on('cancelled', () => {
        if (!answered) abort.abort();
      });
      run(call, abort.signal).then(
        (value) => {
          answered = true;
          callback(null, value);
        },
        (error: unknown) => {
          answered = true;
          refuse(path, error, invalid, abort.signal, callback);
        },
      );
    };
    const run = async (call: ServerUnaryCall<Buffer, A>, signal: AbortSignal): Promise<A> => {
      const caller = doorman.callerOf(call.metadata);
      return await work(await operations(), caller, decoded(request, call.request), signal);
    };
    const definition = {
      path,
      requestStream: false,
      responseStream: false,
      // The bytes as they came: what is wrong with them is told in our words.
      requestSerialize: (bytes: Buffer) => bytes,
      requestDeserialize: (bytes: Buffer) => bytes,
      responseSerialize: (value: A) => answer.encode(value),
      responseDeserialize: (bytes: Buffer) => answer.decode(bytes),
    };
    return { definition, handle };
  }

  function refuse(
    path: string,
    error: unknown,
    invalid: string,
    signal: AbortSignal,
    callback: sendUnaryData<never>,
  ): void {
    const refusal = refusalOf(error, invalid);
    if (refusal !== null) callback(refusal);
    // Nobody hears this answer: the caller has gone.
    else if (signal.aborted) callback({ code: status.CANCELLED, details: 'cancelled' });
    else callback(unexpected(path, error));
  }

  const connect = method(
    PATHS.connect,
    codecs.connectRequest,
    codecs.connectResponse,
    'invalid Agent Stub connect request',
    async (stub, caller, { metadata_json: text, ...rest }) =>
      stub.connect(caller, { ...rest, metadata: text === '' ? {} : parsed(text) }),
  );
  const upload = method(
    PATHS.upload,
    codecs.uploadRequest,
    codecs.uploadResponse,
    'invalid Agent Stub file upload request',
    (stub, caller, message, signal) => stub.files.requestUpload(caller, message, signal),
  );
  const download = method(
    PATHS.download,
    codecs.downloadRequest,
    codecs.downloadResponse,
    'invalid Agent Stub file download request',
    async (stub, caller, { file = {}, ...rest }, signal) => {
      const answer = await stub.files.requestDownload(caller, { file, ...rest }, signal);
      const { filename, mime_type: type, size, download_url } = answer;
      return { filename, size: Number(size), download_url, ...(type === null ? {} : { mime_type: type }) };
    },
  );
  server.addService(
    {
      Connect: connect.definition,
      CreateFileUploadRequest: upload.definition,
      CreateFileDownloadRequest: download.definition,
    },
    {
      Connect: connect.handle,
      CreateFileUploadRequest: upload.handle,
      CreateFileDownloadRequest: download.handle,
    },
  );

  return {
    start() {
      const credentials = credentialsOf(options.tls);
      return new Promise((resolve, reject) => {
        server.bindAsync(options.bind, credentials, (error, port) => {
          if (error === null) resolve(port);
          else reject(bindError(options.bind, error));
        });
      });
    },
    async stop() {
      const { promise, resolve } = Promise.withResolvers<void>();
      const timer = setTimeout(resolve, timings.drainMs ?? DRAIN_MS);
      server.tryShutdown(() => resolve());
      await promise;
      clearTimeout(timer);
      server.forceShutdown();
    },
  };
}

function decoded<T>(codec: Codec<T>, bytes: Buffer): T {
  try {
    return codec.decode(bytes);
  } catch {
    throw new InvalidStubRequest('body', []);
  }
}

/** What is no JSON is not an object either: the schema refuses it. */
function parsed(text: string): unknown {
  const result = parseJson(text);
  return result.ok ? result.value : text;
}

function credentialsOf(tls: StubGrpcOptions['tls']): ServerCredentials {
  if (tls === null) return ServerCredentials.createInsecure();
  const cert_chain = pem('DIFY_AGENT_STUB_GRPC_TLS_CERT', tls.certFile);
  const private_key = pem('DIFY_AGENT_STUB_GRPC_TLS_KEY', tls.keyFile);
  try {
    // Tried here, because the library would only fail to listen.
    createSecureContext({ cert: cert_chain, key: private_key });
    return ServerCredentials.createSsl(null, [{ cert_chain, private_key }]);
  } catch (error) {
    const problem = `DIFY_AGENT_STUB_GRPC_TLS_CERT and DIFY_AGENT_STUB_GRPC_TLS_KEY: ${errorText(error)}`;
    throw new CodedError('grpc_tls', problem, { cause: error });
  }
}

function pem(variable: string, file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    throw new CodedError('grpc_tls', `${variable}: ${errorText(error)}`, { cause: error });
  }
}

function bindError(bind: string, error: Error): CodedError {
  return new CodedError('grpc_bind', `DIFY_AGENT_STUB_GRPC_BIND_ADDRESS: cannot listen on ${bind}: ${error.message}`, {
    cause: error,
  });
}
