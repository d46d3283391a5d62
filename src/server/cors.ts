// Cross-origin calls from browsers (the Fetch standard's CORS protocol), for the origins that the settings name. Cookies
// are never part of it: callers send their token in a header. Off by default, and then nothing of this is on the wire.

/** What the server adds for browsers. */
export interface Cors {
  /** The answer to a preflight request about a path with these methods; null: it is none, or not from an allowed origin. */
  preflight(request: Request, allow: string): Response | null;
  /** Marks an answer as readable for the page that asked, if its origin is allowed. */
  mark(request: Request, response: Response): void;
}

/** Request headers of this API that a page may not send unasked. */
const REQUEST_HEADERS = ['authorization', 'content-type', 'last-event-id', 'x-request-id'];
/** Our own ones, whatever they will be called; a browser's list is only as long as its page's request. */
const OWN_REQUEST_HEADER = /^x-agent-[a-z0-9-]{1,64}$/;
const OWN_HEADER = 'x-agent-';
/** Response headers that a page can use. */
const RESPONSE_HEADERS = ['x-request-id', 'retry-after', 'www-authenticate'];
/** Browsers ask again after this; a changed setting is seen within ten minutes. */
const MAX_AGE_SECONDS = '600';

/** Null when no origin is allowed. `*` allows any. */
export function createCors(origins: readonly string[]): Cors | null {
  if (origins.length === 0) return null;
  const any = origins.includes('*');
  const allowed = new Set(origins);

  /** The value of `access-control-allow-origin`; null: not for this page. */
  function originOf(request: Request): string | null {
    const origin = request.headers.get('origin');
    if (origin === null) return null;
    return any ? '*' : allowed.has(origin) ? origin : null;
  }

  /** Caches must not give one page's answer to another. */
  function vary(headers: Headers): void {
    if (!any) headers.append('vary', 'origin');
  }

  return {
    preflight(request, allow) {
      const origin = originOf(request);
      if (request.method !== 'OPTIONS' || origin === null) return null;
      if (!request.headers.has('access-control-request-method')) return null;
      const asked = request.headers.get('access-control-request-headers') ?? '';
      const own = asked
        .split(',', 64)
        .map((name) => name.trim().toLowerCase())
        .filter((name) => OWN_REQUEST_HEADER.test(name));
      return new Response(null, {
        status: 204,
        headers: {
          'access-control-allow-methods': allow,
          'access-control-allow-headers': [...REQUEST_HEADERS, ...own].join(', '),
          'access-control-max-age': MAX_AGE_SECONDS,
        },
      });
    },
    mark(request, { headers }) {
      vary(headers);
      const origin = originOf(request);
      if (origin === null) return;
      headers.set('access-control-allow-origin', origin);
      const own = [...headers.keys()].filter((name) => name.startsWith(OWN_HEADER));
      headers.set('access-control-expose-headers', [...RESPONSE_HEADERS, ...own].join(', '));
    },
  };
}
