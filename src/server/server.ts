// The HTTP server: Bun listens, route-table.ts says what exists, Elysia hands the request to a plugin, errors.ts words
// what went wrong. Here is only what every request has in common, and the life of the listener.

import { Elysia, NotFoundError } from 'elysia';
import { CodedError, errorText } from '../base/errors.ts';
import { storedEventReader } from '../protocol/stored-event.ts';
import { createWire } from '../protocol/wire.ts';
import { StoreUnavailableError } from '../runs/errors.ts';
import { BODY_TIMEOUT_MS } from './body.ts';
import { answerFor } from './errors.ts';
import { createEventStreams, DRAIN_MS, HEARTBEAT_MS } from './event-streams.ts';
import { openApiDocument } from './openapi/document.ts';
import type { HttpServer, ServerDeps, ServerTimings } from './ports.ts';
import { REQUEST_ID_HEADER, requestIdOf } from './request-id.ts';
import { internalServerError } from './responses.ts';
import { createRouteTable, methodNotAllowed, notFound, redirect } from './route-table.ts';
import { docsRoutes } from './routes/docs.ts';
import { healthRoutes } from './routes/health.ts';
import { runRoutes } from './routes/runs.ts';
import { parseTarget } from './target.ts';

type BunServer = ReturnType<typeof Bun.serve>;

/** Connections that say nothing are closed; streams lift it for theirs. */
const IDLE_TIMEOUT_SECONDS = 60;
/** Bun answers 413 without a body above this. body.ts counts and answers properly long before; bodies are never buffered here. */
const BACKSTOP_BYTES = 2 ** 40;
/** When everything is answered, connections that still do not close are cut after this. */
const CLOSE_MS = 2_000;

const TIMINGS: ServerTimings = { heartbeatMs: HEARTBEAT_MS, bodyTimeoutMs: BODY_TIMEOUT_MS, drainMs: DRAIN_MS };

/** Builds the server; nothing listens before `start`. */
export function createServer(deps: ServerDeps): HttpServer {
  const { settings, runs, submitter, readiness, logger, clock } = deps;
  const { heartbeatMs, bodyTimeoutMs, drainMs } = { ...TIMINGS, ...deps.timings };

  const wire = createWire(settings.wireVintage);
  const readerOf = (runId: string) => storedEventReader(runId, wire);
  const streams = createEventStreams({ runs, logger, readerOf, heartbeatMs, drainMs });
  let listener: BunServer | null = null;
  let stopping = false;
  let stopped: Promise<void> | null = null;
  let document: Promise<string> | null = null;
  /** Requests that were rebuilt, and what Bun knows them as. */
  const originals = new WeakMap<Request, Request>();

  const app = new Elysia({ strictPath: true, handler: { standardHostname: false } })
    .onError(({ error }) => {
      throw error; // `answer` below words all errors in one place
    })
    .use(
      runRoutes({
        runs,
        submitter,
        streams,
        readerOf,
        logger,
        limits: { maxBytes: settings.maxRequestBytes, timeoutMs: bodyTimeoutMs },
        keepOpen: (request) => listener?.timeout(originals.get(request) ?? request, 0),
      }),
    )
    .use(healthRoutes({ readiness, isStopping: () => stopping }))
    .use(
      docsRoutes({
        document() {
          document ??= openApiDocument(
            app.routes.map(({ method, path, hooks }) => ({ method, path, detail: hooks.detail })),
          );
          return document;
        },
      }),
    );
  app.compile();
  const table = createRouteTable(app.routes);

  async function handle(request: Request): Promise<Response> {
    const started = clock.nowMicros();
    const requestId = requestIdOf(request);
    const { path, query } = parseTarget(request.url);
    const verdict = table.check(request.method, path);
    let route: string | null = null;
    let response: Response;
    switch (verdict.kind) {
      case 'route':
        route = verdict.pattern;
        response = await answer(request, route, requestId);
        break;
      case 'method_not_allowed':
        route = verdict.pattern;
        response = methodNotAllowed(request.method, verdict.allow);
        break;
      case 'redirect':
        response = redirect(verdict.path, query, request.headers.get('host'));
        break;
      case 'not_found':
        response = notFound();
    }
    response.headers.set(REQUEST_ID_HEADER, requestId);
    logger.debug('request', {
      method: request.method,
      route,
      status: response.status,
      ms: Math.round((clock.nowMicros() - started) / 10) / 100,
      request_id: requestId,
    });
    return response;
  }

  async function answer(request: Request, route: string, requestId: string): Promise<Response> {
    try {
      return await app.fetch(routable(request));
    } catch (error) {
      if (error instanceof NotFoundError) return notFound(); // Elysia reads a URL in a way that the table does not
      const expected = answerFor(error);
      if (expected !== null) {
        if (error instanceof StoreUnavailableError) {
          logger.warn(error.message, { route, request_id: requestId, cause: causeOf(error) });
        }
        return expected;
      }
      logger.error('unhandled error', { method: request.method, route, request_id: requestId, error });
      return internalServerError();
    }
  }

  /**
   * Elysia needs an absolute URL without a fragment; Bun gives the bare target when the Host header is missing or
   * malformed, and leaves a fragment in.
   */
  function routable(request: Request): Request {
    const { url } = request;
    const hash = url.indexOf('#');
    if (hash === -1 && !url.startsWith('/')) return request;
    const bare = hash === -1 ? url : url.slice(0, hash);
    const rebuilt = new Request(bare.startsWith('/') ? `http://localhost${bare}` : bare, request);
    originals.set(rebuilt, request);
    return rebuilt;
  }

  function listen(): BunServer {
    try {
      return Bun.serve({
        hostname: settings.host,
        port: settings.port,
        reusePort: false, // or a second server would silently share the port
        idleTimeout: IDLE_TIMEOUT_SECONDS,
        maxRequestBodySize: BACKSTOP_BYTES,
        development: false,
        fetch: handle,
        error: internalServerError,
      });
    } catch (error) {
      throw listenError(error, settings.host, settings.port);
    }
  }

  async function close(): Promise<void> {
    await streams.drain();
    if (listener === null) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const deadline = setTimeout(resolve, CLOSE_MS);
    await Promise.race([listener.stop(false), promise]);
    clearTimeout(deadline);
    await listener.stop(true);
  }

  return {
    async start() {
      listener ??= listen();
      const { port, hostname } = listener;
      if (port === undefined) throw new CodedError('listen_failed', 'the server has no TCP port');
      const host = hostname?.includes(':') ? `[${hostname}]` : hostname;
      return { url: `http://${host}:${port}`, port };
    },
    beginShutdown() {
      stopping = true;
    },
    stop() {
      stopping = true;
      stopped ??= close();
      return stopped;
    },
  };
}

function causeOf(error: Error): string | undefined {
  return error.cause === undefined ? undefined : errorText(error.cause);
}

/** One line that names the variable to change. */
function listenError(error: unknown, host: string, port: number): CodedError {
  const code = (error as { readonly code?: unknown }).code; // Bun's system errors carry one
  const address = `${host.includes(':') ? `[${host}]` : host}:${port}`;
  const cause = { cause: error };
  if (code === 'EADDRINUSE') {
    return new CodedError('port_in_use', `DIFY_AGENT_PORT: ${address} is already in use`, cause);
  }
  if (code === 'EACCES') {
    return new CodedError('listen_failed', `DIFY_AGENT_PORT: not allowed to listen on ${address}`, cause);
  }
  return new CodedError('listen_failed', `DIFY_AGENT_HOST: cannot listen on ${address}: ${errorText(error)}`, cause);
}
