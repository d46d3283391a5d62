// Which routes this server has, and the plugin behind each group of them: runs and probes from the start, the others when they are
// first asked for (route-app.ts). What a plugin needs of the server's parts is handed to it here.

import type { AnyElysia } from 'elysia';
import { CodedError } from '../base/errors.ts';
import type { StoredEventReader } from '../protocol/stored-event.ts';
import type { Wire } from '../protocol/wire.ts';
import { type BodyLimits, createBodyBudget } from './body.ts';
import type { EventStreams } from './event-streams.ts';
import {
  CONSOLE_PATHS,
  DOCS_PATHS,
  FILE_PATHS,
  HEALTH_PATHS,
  METRICS_PATHS,
  RUN_PATHS,
  SESSION_PATHS,
  STATUS_PATHS,
  STUB_PATHS,
} from './paths.ts';
import type { ServerDeps } from './ports.ts';
import { lateRouteApp, type RouteApp, routeApp } from './route-app.ts';
import type { Route, Routed } from './route-table.ts';
import type { FileRoutesDeps } from './routes/files.ts';
import { healthRoutes } from './routes/health.ts';
import { runRoutes } from './routes/runs.ts';

/** What the bodies of sandboxes may take, apart from those of callers: neither can keep the others out. */
const STUB_PENDING_BYTES = 33_554_432;

/** Without a sandbox its routes say so before anything is looked up. */
const NO_FILES: Omit<FileRoutesDeps, 'limits'> = {
  files: null,
  stub: null,
  locate() {
    throw new CodedError('no_sandbox', 'no sandbox is configured');
  },
};

/** What the server itself brings. */
export interface GroupParts {
  readonly streams: EventStreams;
  readonly readerOf: (runId: string) => StoredEventReader;
  readonly wire: Wire;
  readonly limits: BodyLimits;
  /** Lifts the idle time-out of a request's connection; returns what sets it again. */
  readonly keepOpen: (request: Request) => () => void;
  readonly addressOf: (request: Request) => string | null;
  readonly isStopping: () => boolean;
  /** Whether callers need a token. */
  readonly secured: boolean;
  readonly standardHostname: boolean;
}

/** The groups of this server. */
export interface RouteGroups {
  readonly groups: readonly Routed<RouteApp>[];
  /** Answers `GET /runs` to those who ask for a list; null: there is none. It is not in the table (run-query.ts). */
  readonly runList: RouteApp | null;
  /** The OpenAPI document as JSON text, built on the first call. */
  document(): Promise<string>;
}

/** Builds the groups: those that `deps` has no part for are not there. */
export function createRouteGroups(deps: ServerDeps, parts: GroupParts): RouteGroups {
  const { settings, runs, submitter, sessions, lister, stub, metrics, status, readiness, logger } = deps;
  const { streams, readerOf, wire, limits, keepOpen, standardHostname } = parts;
  const late = (load: () => Promise<AnyElysia>): RouteApp => lateRouteApp(load, standardHostname);
  const group = (routes: readonly Route[], load: () => Promise<AnyElysia>) => ({ routes, to: late(load) });
  const optional = <T>(part: T | undefined, routes: readonly Route[], load: (part: T) => Promise<AnyElysia>) =>
    part === undefined ? [] : [group(routes, () => load(part))];

  const first = routeApp(
    [
      runRoutes({ runs, submitter, sessions: sessions ?? null, streams, readerOf, wire, logger, limits, keepOpen }),
      healthRoutes({ readiness, isStopping: parts.isStopping }),
    ],
    standardHostname,
    async () => [
      ...(await import('./routes/runs-operations.ts')).describedRuns(wire),
      ...(await import('./routes/health-operations.ts')).describedProbes(),
    ],
  );
  const runList =
    lister === undefined ? null : late(async () => (await import('./routes/run-list.ts')).runListRoutes({ lister }));
  let text: Promise<string> | null = null;
  const document = (): Promise<string> => {
    text ??= describeAll();
    return text;
  };

  const groups: readonly Routed<RouteApp>[] = [
    { routes: [...RUN_PATHS, ...HEALTH_PATHS], to: first },
    ...optional(sessions, SESSION_PATHS, async (part) =>
      (await import('./routes/sessions.ts')).sessionRoutes({ sessions: part, limits }),
    ),
    group(FILE_PATHS, async () =>
      (await import('./routes/files.ts')).fileRoutes({ ...(deps.files ?? NO_FILES), limits }),
    ),
    ...optional(metrics, METRICS_PATHS, async (expose) =>
      (await import('./routes/metrics.ts')).metricsRoutes({ expose }),
    ),
    ...optional(status, STATUS_PATHS, async (report) =>
      (await import('./routes/status.ts')).statusRoutes({
        report,
        tokenRequired: parts.secured,
        addressOf: parts.addressOf,
      }),
    ),
    ...(settings.consoleEnabled === true
      ? [group(CONSOLE_PATHS, async () => (await import('./routes/console.ts')).consoleRoutes())]
      : []),
    group(DOCS_PATHS, async () => (await import('./routes/docs.ts')).docsRoutes({ document })),
    ...optional(stub, STUB_PATHS, async (operations) =>
      (await import('./routes/stub.ts')).stubRoutes({
        operations,
        bodyTimeoutMs: limits.timeoutMs,
        budget: createBodyBudget(Math.min(settings.maxPendingRequestBytes, STUB_PENDING_BYTES)),
        keepOpen,
      }),
    ),
  ];

  async function describeAll(): Promise<string> {
    const { openApiDocument } = await import('./openapi/document.ts');
    const apps = [...groups.map(({ to }) => to), ...(runList === null ? [] : [runList])];
    const described = await Promise.all(apps.map((app) => app.described()));
    return openApiDocument(described.flat(), parts.secured);
  }

  return { groups, runList, document };
}
