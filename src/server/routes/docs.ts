// `/openapi.json` and the pages that show it, offline: Swagger UI at `/docs`, a plain list at `/redoc`. The files of
// Swagger UI are part of the binary and are read when a browser asks for them; no page has inline script.

import { Elysia } from 'elysia';
import favicon from 'swagger-ui-dist/favicon-32x32.png' with { type: 'file' };
import oauthRedirect from 'swagger-ui-dist/oauth2-redirect.js' with { type: 'file' };
import swaggerStyle from 'swagger-ui-dist/swagger-ui.css' with { type: 'file' };
import swaggerBundle from 'swagger-ui-dist/swagger-ui-bundle.js' with { type: 'file' };
import { operationListPage, REDIRECT_PAGE, SWAGGER_INIT, SWAGGER_PAGE } from '../docs/pages.ts';
import { hidden } from '../openapi/operation.ts';
import { jsonResponse } from '../responses.ts';

export interface DocsRoutesDeps {
  /** The OpenAPI document as JSON text; built on the first call. */
  readonly document: () => Promise<string>;
}

/** Swagger UI sets style attributes; everything else comes from this server, and no page may be framed. */
const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

/** The plugin with the document and its pages. */
export function docsRoutes({ document }: DocsRoutesDeps) {
  const options = { parse: 'none', detail: hidden({ open: true }) } as const;
  return new Elysia({ name: 'docs' })
    .get('/openapi.json', async () => jsonResponse(200, await document()), options)
    .get('/docs', () => page(SWAGGER_PAGE), options)
    .get('/redoc', async () => page(operationListPage(await document())), options)
    .get('/docs/oauth2-redirect', () => page(REDIRECT_PAGE), options)
    .get('/docs/init.js', () => asset(SWAGGER_INIT, SCRIPT), options)
    .get('/docs/swagger-ui-bundle.js', () => asset(Bun.file(swaggerBundle), SCRIPT), options)
    .get('/docs/oauth2-redirect.js', () => asset(Bun.file(oauthRedirect), SCRIPT), options)
    .get('/docs/swagger-ui.css', () => asset(Bun.file(swaggerStyle), 'text/css; charset=utf-8'), options)
    .get('/docs/favicon-32x32.png', () => asset(Bun.file(favicon), 'image/png'), options);
}

const SCRIPT = 'text/javascript; charset=utf-8';

function page(html: string): Response {
  return asset(html, 'text/html; charset=utf-8');
}

function asset(body: string | Blob, type: string): Response {
  return new Response(body, {
    headers: {
      'content-type': type,
      'content-security-policy': CONTENT_SECURITY_POLICY,
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
    },
  });
}
