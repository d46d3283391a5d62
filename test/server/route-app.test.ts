// Routes that are loaded when they are asked for: the table knows them before, so what it says must be what the plugins declare.

import { describe, expect, test } from 'bun:test';
import { type AnyElysia, Elysia } from 'elysia';
import { createWire } from '../../src/protocol/wire.ts';
import type { DescribedRoute } from '../../src/server/openapi/document.ts';
import { isOpen } from '../../src/server/openapi/operation.ts';
import * as paths from '../../src/server/paths.ts';
import { lateRouteApp } from '../../src/server/route-app.ts';
import type { Route } from '../../src/server/route-table.ts';
import { consoleRoutes } from '../../src/server/routes/console.ts';
import { docsRoutes } from '../../src/server/routes/docs.ts';
import { fileRoutes } from '../../src/server/routes/files.ts';
import { healthRoutes } from '../../src/server/routes/health.ts';
import { describedProbes } from '../../src/server/routes/health-operations.ts';
import { metricsRoutes } from '../../src/server/routes/metrics.ts';
import { runRoutes } from '../../src/server/routes/runs.ts';
import { describedRuns } from '../../src/server/routes/runs-operations.ts';
import { sessionRoutes } from '../../src/server/routes/sessions.ts';
import { statusRoutes } from '../../src/server/routes/status.ts';
import { stubRoutes } from '../../src/server/routes/stub.ts';

const never = (): never => {
  throw new Error('asked');
};
const limits = { maxBytes: 1, timeoutMs: 1_000 };
const wire = createWire('2026-06');
const unused = never as never; // none of these plugins looks at a part before it is asked for something
const stub = () => stubRoutes({ operations: never, bodyTimeoutMs: 1_000, keepOpen: () => () => {} });
const runs = { runs: unused, submitter: unused, streams: unused, readerOf: never, logger: unused };

const PLUGINS: readonly (readonly [string, readonly Route[], () => AnyElysia])[] = [
  ['runs', paths.RUN_PATHS, () => runRoutes({ ...runs, sessions: null, wire, limits, keepOpen: never })],
  ['sessions', paths.SESSION_PATHS, () => sessionRoutes({ sessions: unused, limits })],
  ['files', paths.FILE_PATHS, () => fileRoutes({ files: null, stub: null, locate: never, limits })],
  ['health', paths.HEALTH_PATHS, () => healthRoutes({ readiness: never, isStopping: never })],
  ['metrics', paths.METRICS_PATHS, () => metricsRoutes({ expose: never })],
  ['status', paths.STATUS_PATHS, () => statusRoutes({ report: never, tokenRequired: true, addressOf: never })],
  ['console', paths.CONSOLE_PATHS, () => consoleRoutes()],
  ['docs', paths.DOCS_PATHS, () => docsRoutes({ document: never })],
  ['stub', paths.STUB_PATHS, stub],
];

/** Routes that describe themselves elsewhere: they are there from the start. */
const DESCRIBED: Readonly<Record<string, readonly DescribedRoute[]>> = {
  runs: describedRuns(wire),
  health: describedProbes(),
};

describe.each(PLUGINS)('the paths of %s', (name, listed, plugin) => {
  const declared = new Elysia().use(plugin()).routes;

  test('are those that the plugin declares', () => {
    const line = ({ method, path }: { method: string; path: string }) => `${method} ${path}`;
    expect(listed.map(line)).toEqual(declared.map(line));
  });

  test('are open where the document says so', () => {
    const said = DESCRIBED[name] ?? declared.map(({ method, path, hooks }) => ({ method, path, detail: hooks.detail }));
    const openness = said.map(({ method, path, detail }) => `${method} ${path} ${isOpen(detail)}`);
    expect(listed.map(({ method, path, open = false }) => `${method} ${path} ${open}`)).toEqual(openness);
  });
});

describe('an application that comes late', () => {
  test('is loaded once, at the first request', async () => {
    let loads = 0;
    const app = lateRouteApp(async () => {
      loads += 1;
      return new Elysia().get('/a', () => 'a').get('/b', () => 'b');
    }, false);
    expect(loads).toBe(0);
    const answers = await Promise.all(
      ['a', 'b', 'a'].map((path) => app.fetch(new Request(`http://localhost/${path}`))),
    );
    expect(await Promise.all(answers.map((answer) => answer.text()))).toEqual(['a', 'b', 'a']);
    expect(await (await app.fetch(new Request('http://localhost/b'))).text()).toBe('b');
    expect(loads).toBe(1);
  });

  test('tells the document what the plugin says', async () => {
    const described = await lateRouteApp(async () => stub(), false).described();
    const ids = described.flatMap(({ detail }) => (detail?.operationId === undefined ? [] : [detail.operationId]));
    expect(ids).toEqual([
      'create_connection_agent_stub_connections_post',
      'create_file_upload_request_agent_stub_files_upload_request_post',
      'create_file_download_request_agent_stub_files_download_request_post',
    ]);
  });

  test('lets through what a handler throws', async () => {
    const request = new Request('http://localhost/agent-stub/connections', { method: 'POST', body: '{}' });
    await expect(lateRouteApp(async () => stub(), false).fetch(request)).rejects.toThrow('asked');
  });
});
