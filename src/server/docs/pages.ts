// The HTML of the documentation pages. Links are relative to the page, so that a path prefix of a proxy does no harm.

/** Swagger UI (spec 01 §1: `GET /docs`). */
export const SWAGGER_PAGE = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Dify Agent Run Server - Swagger UI</title>
<link rel="stylesheet" href="docs/swagger-ui.css">
<link rel="icon" type="image/png" href="docs/favicon-32x32.png" sizes="32x32">
</head>
<body>
<div id="swagger-ui"></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/init.js"></script>
</body>
</html>
`;

/** Starts Swagger UI. \`validatorUrl: null\`: nothing is sent to a validator on the Internet. */
export const SWAGGER_INIT = `SwaggerUIBundle({
  url: 'openapi.json',
  dom_id: '#swagger-ui',
  deepLinking: true,
  validatorUrl: null,
  presets: [SwaggerUIBundle.presets.apis, SwaggerUIBundle.SwaggerUIStandalonePreset],
});
`;

/** Where an OAuth provider would send the browser back to; the reference has it. */
export const REDIRECT_PAGE = `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>Swagger UI: OAuth2 redirect</title></head>
<body><script src="oauth2-redirect.js"></script></body>
</html>
`;

interface ListedOperation {
  readonly summary: string;
  readonly operationId: string;
  readonly description?: string;
}

interface ListedDocument {
  readonly info: { readonly title: string; readonly version: string };
  readonly paths: Readonly<Record<string, Readonly<Record<string, ListedOperation>>>>;
}

/** A page without script that lists the operations of our own document (spec 01 §1: `GET /redoc`). */
export function operationListPage(document: string): string {
  const { info, paths } = JSON.parse(document) as ListedDocument; // we wrote it ourselves
  const rows = Object.entries(paths).flatMap(([path, operations]) =>
    Object.entries(operations).map(
      ([method, { summary, operationId, description }]) =>
        `<tr id="${escapeHtml(operationId)}"><td>${escapeHtml(method.toUpperCase())}</td><td><code>${escapeHtml(path)}</code></td><td>${escapeHtml(description ?? summary)}</td></tr>`,
    ),
  );
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>${escapeHtml(info.title)}</title>
<link rel="icon" type="image/png" href="docs/favicon-32x32.png" sizes="32x32">
</head>
<body>
<h1>${escapeHtml(info.title)} ${escapeHtml(info.version)}</h1>
<p><a href="openapi.json">OpenAPI document</a> · <a href="docs">Swagger UI</a></p>
<table>
${rows.join('\n')}
</table>
</body>
</html>
`;
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
