// Which paths and methods exist, asked before Elysia routes: 404, 405 with `allow`, and 307 for a trailing slash as the
// reference's framework answers them (spec 01 §1.1). Built once from the routes that the plugins declared.

import { detailBody, jsonResponse } from './responses.ts';

/** A declared route: Elysia's path syntax, `:name` for one segment. */
export interface Route {
  readonly method: string;
  readonly path: string;
  /** Whether anybody may call it; default: only who has a token, where tokens are configured. */
  readonly open?: boolean;
  /** Whether a GET without parameters answers HEAD as well; default: yes. */
  readonly head?: boolean;
}

/** What the table says about a request. */
export type Verdict =
  | { readonly kind: 'route'; readonly pattern: string; readonly open: boolean }
  | { readonly kind: 'not_found' }
  | { readonly kind: 'method_not_allowed'; readonly pattern: string; readonly allow: string }
  /** The path without its trailing slashes exists. */
  | { readonly kind: 'redirect'; readonly path: string };

interface Entry {
  readonly pattern: string;
  /** Each with whether it is open. */
  readonly methods: ReadonlyMap<string, boolean>;
  readonly allow: string;
}

export interface RouteTable {
  /** `path`: the request's path, still percent-encoded, without query. */
  check(method: string, path: string): Verdict;
}

/** Path segments are opaque, but an encoded slash never matches (spec 01 §1). */
const ENCODED_SLASH = /%2f/i;

/** Builds the table. Routes without parameters that answer GET answer HEAD as well, like the reference's own pages. */
export function createRouteTable(routes: readonly Route[]): RouteTable {
  const methodsOf = new Map<string, Map<string, boolean>>();
  for (const { method, path, open = false, head = true } of routes) {
    const methods = methodsOf.get(path) ?? new Map<string, boolean>();
    methods.set(method, open);
    if (head && method === 'GET' && !path.includes(':')) methods.set('HEAD', open);
    methodsOf.set(path, methods);
  }
  const exact = new Map<string, Entry>();
  const patterns: { readonly regex: RegExp; readonly entry: Entry }[] = [];
  for (const [pattern, methods] of methodsOf) {
    const entry = { pattern, methods, allow: [...methods.keys()].join(', ') };
    if (pattern.includes(':')) patterns.push({ regex: patternRegex(pattern), entry });
    else exact.set(pattern, entry);
  }

  function find(path: string): Entry | undefined {
    return exact.get(path) ?? patterns.find(({ regex }) => regex.test(path))?.entry;
  }

  return {
    check(method, path) {
      if (path.includes('%') && ENCODED_SLASH.test(path)) return { kind: 'not_found' };
      const entry = find(path);
      if (entry !== undefined) {
        const { pattern, methods, allow } = entry;
        const open = methods.get(method);
        return open === undefined ? { kind: 'method_not_allowed', pattern, allow } : { kind: 'route', pattern, open };
      }
      if (path.endsWith('/')) {
        let end = path.length;
        while (path[end - 1] === '/') end--; // a pattern would start anew at every slash
        const bare = path.slice(0, end);
        if (find(bare) !== undefined) return { kind: 'redirect', path: bare };
      }
      return { kind: 'not_found' };
    },
  };
}

function patternRegex(pattern: string): RegExp {
  const source = pattern.replace(/[.*+?^${}()|[\]\\]/g, '\\$&').replace(/:[a-z_]+/g, '[^/]+');
  return new RegExp(`^${source}$`);
}

const NOT_FOUND_BODY = detailBody('Not Found');
const METHOD_BODY = detailBody('Method Not Allowed');

/** 404 for a path that does not exist. */
export function notFound(): Response {
  return jsonResponse(404, NOT_FOUND_BODY);
}

/** 405. The answer to HEAD has the length of the body that it leaves out. */
export function methodNotAllowed(method: string, allow: string): Response {
  const headers = { 'content-type': 'application/json', allow, 'content-length': String(METHOD_BODY.length) };
  return new Response(method === 'HEAD' ? null : METHOD_BODY, { status: 405, headers });
}

const HOST = /^(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?$/;

/** 307 to the path without the slash: absolute when the Host header can be trusted to be one, else relative. */
export function redirect(path: string, query: string, host: string | null, scheme: 'http' | 'https'): Response {
  const origin = host !== null && host.length <= 255 && HOST.test(host) ? `${scheme}://${host}` : '';
  return new Response(null, { status: 307, headers: { location: `${origin}${path}${query}`, 'content-length': '0' } });
}
