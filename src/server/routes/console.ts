// `/console`: the page to look at runs and to start them, and its two files. Anybody may load it, for it holds nothing: what
// it shows it asks for with the token that its user types. The files are read when a browser asks for them.

import { Elysia } from 'elysia';
import type { Asset, ConsoleAssets } from '../console/assets.ts';
import { hidden } from '../openapi/operation.ts';
import { queryOf } from '../target.ts';

/** Everything comes from this server, nothing is inline, nothing may frame the page or be sent by a form. */
const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "connect-src 'self'",
  "img-src 'self' data:",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

/** A URL that names the content never has another one. */
const FOR_EVER = 'public, max-age=31536000, immutable';
const ASK_AGAIN = 'no-cache';

/** The plugin with the page. */
export function consoleRoutes() {
  const options = { parse: 'none', detail: hidden({ open: true }) } as const;
  let loading: Promise<ConsoleAssets> | null = null;
  const serve = async (request: Request, name: keyof ConsoleAssets): Promise<Response> => {
    loading ??= import('../console/assets.ts').then(({ consoleAssets }) => consoleAssets());
    return answer(request, (await loading)[name]);
  };
  return new Elysia({ name: 'console' })
    .get('/console', ({ request }) => serve(request, 'page'), options)
    .get('/console/app.js', ({ request }) => serve(request, 'script'), options)
    .get('/console/app.css', ({ request }) => serve(request, 'style'), options);
}

async function answer(request: Request, asset: Asset): Promise<Response> {
  const { type, gzip, etag, hash } = asset;
  const headers: Record<string, string> = {
    etag,
    vary: 'accept-encoding',
    'cache-control': hash !== '' && queryOf(request.url).get('v') === hash ? FOR_EVER : ASK_AGAIN,
    'content-security-policy': CONTENT_SECURITY_POLICY,
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'no-referrer',
    'cross-origin-opener-policy': 'same-origin',
    'cross-origin-resource-policy': 'same-origin',
  };
  if (knows(request.headers.get('if-none-match'), etag)) return new Response(null, { status: 304, headers });
  headers['content-type'] = type;
  if (takesGzip(request.headers.get('accept-encoding'))) {
    return new Response(gzip, { headers: { ...headers, 'content-encoding': 'gzip' } });
  }
  const { plainOf } = await import('../console/assets.ts');
  return new Response(plainOf(asset), { headers });
}

/** Whether one of the tags that the browser has is ours; a proxy may have weakened it. */
function knows(header: string | null, etag: string): boolean {
  return header?.split(',').some((tag) => tag.trim().replace(/^W\//, '') === etag) ?? false;
}

function takesGzip(header: string | null): boolean {
  const codings = header?.split(',') ?? [];
  return codings.some((coding) => /^\s*(?:gzip|\*)\s*(?:;(?!\s*q=0(?:\.0*)?\s*$)|$)/i.test(coding));
}
