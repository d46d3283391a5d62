// The load on the Agent Stub, in a process of its own: `connections` calls over HTTP by raw sockets, or `Connect` over gRPC by raw
// HTTP/2. Its one argument is a StubJob as JSON; it prints calls per second. stub-measures.ts starts it.

import { type ClientHttp2Session, connect } from 'node:http2';
import { Connection, postRequest } from './http1.ts';

/** What to do. */
export interface StubJob {
  readonly protocol: 'http' | 'grpc';
  /** `http://host:port`, for gRPC too. */
  readonly url: string;
  /** One lane each, with one call after the other: a connection over HTTP, a share of the one connection over gRPC. */
  readonly tokens: readonly string[];
  readonly calls: number;
  readonly warmUp: number;
}

/** Makes one call of a lane. Rejects when it fails. */
type Lane = () => Promise<void>;

/** Runs a job in this process: calls per second. */
export async function drive(job: StubJob): Promise<number> {
  const { lanes, close } = job.protocol === 'http' ? httpLanes(job) : grpcLanes(job);
  await work(lanes, job.warmUp);
  const started = performance.now();
  await work(lanes, job.calls);
  const seconds = (performance.now() - started) / 1000;
  close();
  return job.calls / seconds;
}

async function work(lanes: readonly Lane[], calls: number): Promise<void> {
  let left = calls;
  await Promise.all(
    lanes.map(async (lane) => {
      while (left > 0) {
        left -= 1;
        await lane();
      }
    }),
  );
}

interface Lanes {
  readonly lanes: readonly Lane[];
  close(): void;
}

function httpLanes({ url, tokens }: StubJob): Lanes {
  const body = JSON.stringify({ protocol_version: 1, argv: ['ls', '-l'], metadata: {} });
  const connections = tokens.map(() => new Connection(url));
  const lanes = tokens.map((token, i): Lane => {
    const request = postRequest('/agent-stub/connections', body, { Authorization: `Bearer ${token}` });
    return async () => {
      const answer = await connections[i]?.send(request);
      if (answer?.status !== 200) throw new Error(`${answer?.status} ${answer?.body}`);
    };
  });
  return {
    lanes,
    close() {
      for (const connection of connections) connection.close();
    },
  };
}

/** `protocol_version` 1, `argv` `ls` and `-l`, by hand (spec 05 §6), in a frame of gRPC: no flags, length, message. */
const MESSAGE = Buffer.from('080112026c7312022d6c', 'hex');
const FRAME = Buffer.concat([Buffer.of(0, 0, 0, 0, MESSAGE.length), MESSAGE]);

function grpcLanes({ url, tokens }: StubJob): Lanes {
  const session = connect(url);
  return { lanes: tokens.map((token) => () => grpcConnect(session, token)), close: () => session.close() };
}

function grpcConnect(session: ClientHttp2Session, token: string): Promise<void> {
  const call = session.request({
    ':method': 'POST',
    ':path': '/dify.agent.stub.v1.AgentStubService/Connect',
    'content-type': 'application/grpc',
    te: 'trailers',
    authorization: `Bearer ${token}`,
  });
  let status = 'none';
  const note = (headers: Readonly<Record<string, unknown>>): void => {
    status = String(headers['grpc-status'] ?? status);
  };
  call.on('response', note); // a refusal has no trailers of its own
  call.on('trailers', note);
  call.on('data', () => {});
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  call.on('error', reject);
  call.on('close', () => (status === '0' ? resolve() : reject(new Error(`grpc-status ${status}`))));
  call.end(FRAME);
  return promise;
}

/** Runs a job in a new process. */
export async function driveStubApart(job: StubJob): Promise<number> {
  const child = Bun.spawn([process.execPath, new URL(import.meta.url).pathname, JSON.stringify(job)], {
    stdout: 'pipe',
    stderr: 'inherit',
  });
  const [text, code] = await Promise.all([new Response(child.stdout).text(), child.exited]);
  if (code !== 0) throw new Error(`the driver ended with ${code}`);
  return Number(text);
}

if (import.meta.main) {
  void drive(JSON.parse(process.argv[2] ?? '{}') as StubJob).then((perSecond) => {
    console.log(perSecond);
  });
}
