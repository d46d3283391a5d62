// The doors of the HTTP room: what it is given and what it gives. Nothing here knows Elysia, Bun or a store.
// app.ts builds a ServerDeps and hands it to createServer (server.ts).

import type { Clock } from '../base/clock.ts';
import type { Settings } from '../config/settings.ts';
import type { ManagedSessions } from '../managed/sessions.ts';
import type { Logger } from '../observe/logger.ts';
import type { Exposition } from '../observe/metrics/exposition.ts';
import type { StreamFigures } from '../observe/metrics/sources.ts';
import type { Probe } from '../observe/probe.ts';
import type { StatusReport } from '../observe/status.ts';
import type { CancelRunRequest, RunRecord } from '../protocol/runs.ts';
import type { CancelOutcome, RunLister, RunReader } from '../runs/ports.ts';
import type { Submission } from '../runs/submission.ts';
import type { StubOperations } from '../stub/operations.ts';
import type { FileRoutesDeps } from './routes/files.ts';

/** Where `POST /runs` and `POST /runs/{id}/cancel` go; the scheduler implements it. Both may throw StoreUnavailableError. */
export interface RunSubmitter {
  /**
   * Accepts a run: its record is durable when the promise resolves. It may be an earlier run of the same
   * `idempotency_key`, whatever has become of it.
   * Throws SchedulerStoppingError, TooManyRunsError (both 503) and IdempotencyConflictError (409).
   */
  submit(submission: Submission): Promise<RunRecord>;
  /** Asks for the end of a run: the wish is durable when the promise resolves, the end comes later. */
  cancel(runId: string, request: CancelRunRequest): Promise<CancelOutcome>;
}

/** Everything the server needs. */
export interface ServerDeps {
  readonly settings: Pick<
    Settings,
    'host' | 'port' | 'access' | 'tls' | 'corsOrigins' | 'maxRequestBytes' | 'maxPendingRequestBytes' | 'wireVintage'
  > &
    Partial<Pick<Settings, 'consoleEnabled'>>;
  readonly runs: RunReader;
  readonly submitter: RunSubmitter;
  /** Lists of runs. Null: none are kept, and the route says so. Absent: there is no such route. */
  readonly lister?: RunLister | null;
  /** Sessions that the server keeps. Absent: none, and the routes are not there. */
  readonly sessions?: ManagedSessions;
  /** Workspaces to look into. Absent: there are none, and the routes say so. */
  readonly files?: Omit<FileRoutesDeps, 'limits'>;
  /** What sandboxes may ask. Absent: its routes are not there. */
  readonly stub?: () => Promise<StubOperations>;
  /** Listens to requests. Default: nobody. */
  readonly probe?: Pick<Probe, 'request'>;
  /** What `/metrics` answers. Absent: there is no such route. */
  readonly metrics?: () => Promise<Exposition>;
  /** What `/internal/status` answers. Absent: there is no such route. */
  readonly status?: () => StatusReport;
  /** What keeps the process from taking runs, one line each; empty: ready. Asked at every `GET /readyz`. */
  readonly readiness: () => Promise<readonly string[]>;
  readonly logger: Logger;
  readonly clock: Clock;
  /** The program's version, for the log; OpenAPI prints the reference's. */
  readonly version: string;
  /** Other timings than the usual ones; for tests. */
  readonly timings?: Partial<ServerTimings>;
}

/** Durations in milliseconds; defaults are constants beside what they govern. */
export interface ServerTimings {
  /** Silence after which a stream sends a comment. */
  readonly heartbeatMs: number;
  /** How long a request body may take. */
  readonly bodyTimeoutMs: number;
  /** How long `stop` waits for streams to deliver their terminal event. */
  readonly drainMs: number;
}

/** A server that is listening or can be. */
export interface HttpServer {
  /** Listens. Rejects with a CodedError `port_in_use` that names DIFY_AGENT_PORT. Port 0: the system chooses. */
  start(): Promise<{ readonly url: string; readonly port: number }>;
  /** From now on `/readyz` answers 503; everything else goes on. Call it when the signal arrives. */
  beginShutdown(): void;
  /** How the event streams are doing. */
  streams(): StreamFigures;
  /**
   * To be called when every run of this process has its terminal event. Waits (bounded) until the streams have
   * delivered what is stored, ends the idle ones, answers the requests under way, then closes. Never rejects.
   */
  stop(): Promise<void>;
}
