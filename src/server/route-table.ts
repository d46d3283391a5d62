// Which paths and methods exist, asked before Elysia routes: 404, 405 with `allow`, and 307 for a trailing slash as the
// reference's framework answers them (spec 01 §1.1). Built once, of groups of routes and who answers each.

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

/** Routes and who answers them. */
export interface Routed<To> {
  readonly routes: readonly Route[];
  readonly to: To;
}

/** What the table says about a request. */
export type Verdict<To> =
  | { readonly kind: 'route'; readonly pattern: string; readonly open: boolean; readonly to: To }
  | { readonly kind: 'not_found' }
  | { readonly kind: 'method_not_allowed'; readonly pattern: string; readonly allow: string }
  /** The path without its trailing slashes exists. */
  | { readonly kind: 'redirect'; readonly path: string };

/** A method of a path. */
interface Target<To> {
  readonly open: boolean;
  readonly to: To;
}

interface Entry<To> {
  readonly pattern: string;
  readonly methods: ReadonlyMap<string, Target<To>>;
  readonly allow: string;
}

export interface RouteTable<To> {
  /** `path`: the request's path, still percent-encoded, without query. */
  check(method: string, path: string): Verdict<To>;
}

/** Path segments are opaque, but an encoded slash never matches (spec 01 §1). */
const ENCODED_SLASH = /%2f/i;

/** Builds the table. Routes without parameters that answer GET answer HEAD as well, like the reference's own pages. */
export function createRouteTable<To>(groups: readonly Routed<To>[]): RouteTable<To> {
  const methodsOf = new Map<string, Map<string, Target<To>>>();
  for (const { routes, to } of groups) {
    for (const { method, path, open = false, head = true } of routes) {
      const methods = methodsOf.get(path) ?? new Map<string, Target<To>>();
      const target = { open, to };
      methods.set(method, target);
      if (head && method === 'GET' && !path.includes(':')) methods.set('HEAD', target);
      methodsOf.set(path, methods);
    }
  }
  const exact = new Map<string, Entry<To>>();
  const patterns: { readonly regex: RegExp; readonly entry: Entry<To> }[] = [];
  for (const [pattern, methods] of methodsOf) {
    const entry = { pattern, methods, allow: [...methods.keys()].join(', ') };
    if (pattern.includes(':')) patterns.push({ regex: patternRegex(pattern), entry });
    else exact.set(pattern, entry);
  }

  function find(path: string): Entry<To> | undefined {
    return exact.get(path) ?? patterns.find(({ regex }) => regex.test(path))?.entry;
  }

  return {
    check(method, path) {
      if (path.includes('%') && ENCODED_SLASH.test(path)) return { kind: 'not_found' };
      const entry = find(path);
      if (entry !== undefined) {
        const { pattern, methods, allow } = entry;
        const target = methods.get(method);
        return target === undefined
          ? { kind: 'method_not_allowed', pattern, allow }
          : { kind: 'route', pattern, ...target };
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
