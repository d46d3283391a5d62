// An Elysia application with some of the server's routes: now, or at the first request for one of them. What is not about runs
// comes late, so that a server listens before it has loaded what may never be asked for. Errors are worded by server.ts.

import { type AnyElysia, Elysia } from 'elysia';
import type { DescribedRoute } from './openapi/document.ts';

/** Answers the requests of its routes. */
export interface RouteApp {
  /** Rejects with what the handlers throw. */
  fetch(request: Request): Response | Promise<Response>;
  /** What the OpenAPI document says about the routes. */
  described(): Promise<readonly DescribedRoute[]>;
}

/** The application of these plugins. `standardHostname`: Elysia's option, where it begins to look for a path. */
function appOf(plugins: readonly AnyElysia[], standardHostname: boolean): AnyElysia {
  const app: AnyElysia = new Elysia({ strictPath: true, handler: { standardHostname } }).onError(({ error }) => {
    throw error;
  });
  for (const plugin of plugins) app.use(plugin);
  app.compile();
  return app;
}

/** One that is there from the start; its plugins do not describe themselves. */
export function routeApp(
  plugins: readonly AnyElysia[],
  standardHostname: boolean,
  described: RouteApp['described'],
): RouteApp {
  const app = appOf(plugins, standardHostname);
  return { fetch: (request) => app.fetch(request), described };
}

/** One that is loaded when it is needed; what its plugin says of its routes is in Elysia's `detail`. */
export function lateRouteApp(load: () => Promise<AnyElysia>, standardHostname: boolean): RouteApp {
  let loading: Promise<AnyElysia> | null = null;
  let loaded: AnyElysia | null = null;
  const app = async (): Promise<AnyElysia> => {
    loading ??= load().then((plugin) => {
      loaded = appOf([plugin], standardHostname);
      return loaded;
    });
    return loading;
  };
  return {
    fetch: (request) => loaded?.fetch(request) ?? app().then((ready) => ready.fetch(request)),
    described: async () => {
      const { routes } = await app();
      return routes.map(({ method, path, hooks }) => ({ method, path, detail: hooks.detail }));
    },
  };
}
