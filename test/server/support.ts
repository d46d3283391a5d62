// A server in this process over the real in-memory store, and a raw TCP client for what fetch cannot say.

import { systemClock } from '../../src/base/clock.ts';
import { newRunId } from '../../src/base/ids.ts';
import { type LogFields, type Logger, noopLogger } from '../../src/observe/logger.ts';
import type { RunRecord } from '../../src/protocol/runs.ts';
import { createWire } from '../../src/protocol/wire.ts';
import type { Submission } from '../../src/runs/submission.ts';
import type { HttpServer, ServerDeps } from '../../src/server/ports.ts';
import { createServer } from '../../src/server/server.ts';
import { createLive, type LiveStore } from '../../src/store/live.ts';
import { openSqliteStore } from '../../src/store/sqlite.ts';

const clock = systemClock();
const wire = createWire('2026-06');
const TIME = '2026-06-02T08:15:30.204117Z';

/** A log entry as a test sees it. */
export interface Entry {
  readonly level: string;
  readonly message: string;
  readonly fields: LogFields;
}

/** A server under test. */
export interface TestServer {
  readonly url: string;
  readonly port: number;
  readonly http: HttpServer;
  readonly store: LiveStore;
  readonly log: readonly Entry[];
  readonly submitted: readonly Submission[];
  /** Creates a running run in the store. */
  run(id?: string): Promise<string>;
  /** Appends `pydantic_ai_event`s with these texts. */
  say(runId: string, ...texts: readonly string[]): Promise<void>;
  /** Ends the run as succeeded. */
  succeed(runId: string, output?: string): Promise<void>;
  stop(): Promise<void>;
}

export const runStarted = (runId: string) => wire.encode(runId, TIME, { type: 'run_started' });
export const textDelta = (runId: string, text: string) =>
  wire.encode(runId, TIME, {
    type: 'pydantic_ai_event',
    data: {
      index: 0,
      delta: { content_delta: text, provider_name: null, provider_details: null, part_delta_kind: 'text' },
      event_kind: 'part_delta',
    },
  });
export const runSucceeded = (runId: string, output: string) =>
  wire.encode(runId, TIME, {
    type: 'run_succeeded',
    snapshot: { schema_version: 1, layers: [] },
    result: { output },
    usage: null,
  });

/** A logger that keeps what it is told. */
export function recordingLogger(entries: Entry[], base: LogFields = {}): Logger {
  const at =
    (level: string) =>
    (message: string, fields: LogFields = {}) =>
      void entries.push({ level, message, fields: { ...base, ...fields } });
  return {
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    child: (fields) => recordingLogger(entries, { ...base, ...fields }),
  };
}

export function memoryStore(): LiveStore {
  return createLive(openSqliteStore({ path: ':memory:', retentionSeconds: 3600, clock, logger: noopLogger }));
}

/** What of ServerDeps a test may replace. */
/** Everybody may call, over HTTP, from no other page. */
export const OPEN_DOORS = {
  access: { apiToken: null, apiTokensPrevious: [], allowAnonymous: false },
  tls: { certFile: null, keyFile: null },
  corsOrigins: [],
  maxPendingRequestBytes: 268_435_456,
  wireVintage: '2026-06',
} as const;

export type Overrides = Partial<Omit<ServerDeps, 'settings'>> & { readonly settings?: Partial<ServerDeps['settings']> };

/** Starts a server on a free port; POST /runs creates a run that nobody executes, a cancel of it is kept and no more. */
export async function startServer(overrides: Overrides = {}): Promise<TestServer> {
  const store = memoryStore();
  const log: Entry[] = [];
  const submitted: Submission[] = [];
  const run = async (id: string = newRunId()) => {
    await store.create({ run_id: id, status: 'running', created_at: TIME, updated_at: TIME, error: null });
    return id;
  };
  const http = createServer({
    runs: store,
    submitter: {
      async submit(submission): Promise<RunRecord> {
        submitted.push(submission);
        const record = await store.getRecord(await run());
        if (record === null) throw new Error('the record is gone');
        return record;
      },
      cancel: (runId, request) => store.requestCancel(runId, { ...request, requestedAt: TIME }),
    },
    readiness: async () => [],
    logger: recordingLogger(log),
    clock,
    version: '0.0.0',
    ...overrides,
    settings: { ...OPEN_DOORS, host: '127.0.0.1', port: 0, maxRequestBytes: 1_000_000, ...overrides.settings },
  });
  const { url, port } = await http.start();
  return {
    url,
    port,
    http,
    store,
    log,
    submitted,
    run,
    async say(runId, ...texts) {
      await store.append(
        runId,
        texts.map((text) => textDelta(runId, text)),
      );
    },
    async succeed(runId, output = 'done') {
      await store.finalise(runId, {
        status: 'succeeded',
        updatedAt: TIME,
        error: null,
        payload: runSucceeded(runId, output),
      });
    },
    async stop() {
      await http.stop();
      await store.close();
    },
  };
}

/** One `fetch` that follows nothing. */
export async function ask(url: string, init: RequestInit = {}) {
  const response = await fetch(url, { redirect: 'manual', proxy: false, ...init } as RequestInit);
  return { status: response.status, headers: response.headers, text: await response.text() };
}

/** A raw TCP connection. */
export interface RawConnection {
  write(text: string | Uint8Array): void;
  /** Everything received so far, as Latin-1. */
  readonly received: string;
  readonly closed: boolean;
  pause(): void;
  resume(): void;
  end(): void;
}

export async function connect(port: number): Promise<RawConnection> {
  let received = '';
  let closed = false;
  const pending: Uint8Array[] = [];
  const flush = () => {
    for (let next = pending.shift(); next !== undefined; next = pending.shift()) {
      const written = socket.write(next);
      if (written < next.length) {
        pending.unshift(next.subarray(Math.max(written, 0)));
        return;
      }
    }
  };
  const socket = await Bun.connect({
    hostname: '127.0.0.1',
    port,
    socket: {
      data(_socket, data) {
        received += Buffer.from(data).toString('latin1');
      },
      drain: flush,
      close() {
        closed = true;
      },
      error() {
        closed = true;
      },
    },
  });
  return {
    write(text) {
      pending.push(typeof text === 'string' ? Buffer.from(text, 'latin1') : text);
      flush();
    },
    get received() {
      return received;
    },
    get closed() {
      return closed;
    },
    pause: () => void socket.pause(),
    resume: () => void socket.resume(),
    end: () => void socket.terminate(),
  };
}
