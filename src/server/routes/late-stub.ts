// The stub's routes before anybody asks for one: which there are, for the route table. The plugin behind them (stub.ts) is
// loaded and built at the first request, or when the OpenAPI document is: a server without sandboxes starts without it.

import { Elysia } from 'elysia';
import type { DescribedRoute } from '../openapi/document.ts';
import type { Route } from '../route-table.ts';
import type { StubRoutesDeps } from './stub.ts';

/** The routes of stub.ts. The server's own tokens do not matter there, and HEAD is not answered (spec 05 §4). */
export const STUB_ROUTES: readonly Route[] = [
  ['POST', 'connections'],
  ['POST', 'files/upload-request'],
  ['POST', 'files/download-request'],
  ['GET', 'drive/manifest'],
  ['POST', 'drive/commit'],
  ['GET', 'config/manifest'],
  ['GET', 'config/skills/:name/inspect'],
  ['GET', 'config/skills/:name/pull'],
  ['GET', 'config/files/:name/pull'],
  ['GET', 'config/downloads/:ticket'],
  ['POST', 'config/push'],
  ['PATCH', 'config/env'],
  ['PUT', 'config/note'],
].map(([method = '', path]) => ({ method, path: `/agent-stub/${path}`, open: true, head: false }));

/** The plugin that comes later. */
export interface LateStub {
  /** Whether a pattern of the route table is one of the stub's. */
  owns(pattern: string): boolean;
  /** Answers a request of one of them. Rejects with what its handlers throw. */
  fetch(request: Request): Promise<Response>;
  /** What the document says about them. */
  described(): Promise<readonly DescribedRoute[]>;
}

/** @param standardHostname as Elysia's option: where it begins to look for a path */
export function lateStub(deps: StubRoutesDeps, standardHostname: boolean): LateStub {
  let built: ReturnType<typeof build> | null = null;
  const build = async () => {
    const { stubRoutes } = await import('./stub.ts');
    const app = new Elysia({ strictPath: true, handler: { standardHostname } })
      .onError(({ error }) => {
        throw error; // server.ts words all errors in one place
      })
      .use(stubRoutes(deps));
    app.compile();
    return app;
  };
  const load = () => {
    built ??= build();
    return built;
  };
  return {
    owns: (pattern) => pattern.startsWith('/agent-stub/'),
    fetch: async (request) => (await load()).fetch(request),
    described: async () => {
      const { routes } = await load();
      return routes.map(({ method, path, hooks }) => ({ method, path, detail: hooks.detail }));
    },
  };
}
