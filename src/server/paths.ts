// Which paths the server answers, by the plugin that answers them. The route table knows them before the plugins are loaded
// (route-groups.ts), and a test holds them against what the plugins declare.

import type { Route } from './route-table.ts';

/** routes/runs.ts */
export const RUN_PATHS = paths(
  'POST /runs',
  'GET /runs/:run_id',
  'POST /runs/:run_id/cancel',
  'GET /runs/:run_id/events',
  'GET /runs/:run_id/events/sse',
);

/** routes/sessions.ts */
export const SESSION_PATHS = paths(
  'GET /sessions',
  'DELETE /sessions',
  'GET /sessions/:key',
  'DELETE /sessions/:key',
  'POST /sessions/:key/resume',
  'POST /sessions/:key/fork',
);

/** routes/files.ts */
export const FILE_PATHS = paths(
  'POST /sandbox/files/list',
  'POST /sandbox/files/read',
  'POST /sandbox/files/upload',
  'GET /workspaces/:session_id/files',
  'GET /workspaces/:session_id/files/preview',
  'GET /workspaces/:session_id/files/download',
);

/** routes/health.ts: a probe has no token. */
export const HEALTH_PATHS = open(paths('GET /healthz', 'GET /readyz'));

/** routes/metrics.ts */
export const METRICS_PATHS = paths('GET /metrics');

/** routes/status.ts */
export const STATUS_PATHS = paths('GET /internal/status');

/** routes/console.ts: the page asks for the token. */
export const CONSOLE_PATHS = open(paths('GET /console', 'GET /console/app.js', 'GET /console/app.css'));

/** routes/docs.ts */
export const DOCS_PATHS = open(
  paths(
    'GET /openapi.json',
    'GET /docs',
    'GET /redoc',
    'GET /docs/oauth2-redirect',
    'GET /docs/init.js',
    'GET /docs/swagger-ui-bundle.js',
    'GET /docs/oauth2-redirect.js',
    'GET /docs/swagger-ui.css',
    'GET /docs/favicon-32x32.png',
  ),
);

/** routes/stub.ts: the server's own tokens do not matter there, and HEAD is not answered (spec 05 §4). */
export const STUB_PATHS = withoutHead(
  open(
    paths(
      'POST /agent-stub/connections',
      'POST /agent-stub/files/upload-request',
      'POST /agent-stub/files/download-request',
      'GET /agent-stub/drive/manifest',
      'POST /agent-stub/drive/commit',
      'GET /agent-stub/config/manifest',
      'GET /agent-stub/config/skills/:name/inspect',
      'GET /agent-stub/config/skills/:name/pull',
      'GET /agent-stub/config/files/:name/pull',
      'GET /agent-stub/config/downloads/:ticket',
      'POST /agent-stub/config/push',
      'PATCH /agent-stub/config/env',
      'PUT /agent-stub/config/note',
    ),
  ),
);

function paths(...lines: readonly string[]): readonly Route[] {
  return lines.map((line) => {
    const [method = '', path = ''] = line.split(' ');
    return { method, path };
  });
}

function open(routes: readonly Route[]): readonly Route[] {
  return routes.map((route) => ({ ...route, open: true }));
}

function withoutHead(routes: readonly Route[]): readonly Route[] {
  return routes.map((route) => ({ ...route, head: false }));
}
