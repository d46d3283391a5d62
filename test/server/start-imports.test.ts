// What a server loads before it listens, asked of the bundler, which knows every static import: a library that crept in would be paid
// for at each start, and an own module that describes or answers what is seldom asked for as well.

import { beforeAll, expect, test } from 'bun:test';
import { join } from 'node:path';
import { ROOT } from '../support/binary.ts';

/** Everything that `serve` imports without waiting for something to happen. */
let loaded: ReadonlySet<string>;
/** Everything that is in the binary. */
let bundled: ReadonlySet<string>;

beforeAll(async () => {
  const { metafile } = await Bun.build({ entrypoints: [join(ROOT, 'src/main.ts')], target: 'bun', metafile: true });
  const inputs = metafile?.inputs ?? {};
  const seen = new Set<string>();
  const waiting = ['src/main.ts', 'src/cli/serve.ts', 'src/app.ts'];
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    if (seen.has(path)) continue;
    seen.add(path);
    for (const { path: next, kind } of inputs[path]?.imports ?? []) if (kind !== 'dynamic-import') waiting.push(next);
  }
  loaded = seen;
  bundled = new Set(Object.keys(inputs));
});

test('the libraries are those of the HTTP server', () => {
  const packages = new Set(
    [...loaded].flatMap((path) => /node_modules\/((?:@[^/]+\/)?[^/]+)\/(?!.*node_modules)/.exec(path)?.[1] ?? []),
  );
  expect([...packages].sort()).toEqual([
    '@sinclair/typebox',
    'cookie',
    'elysia',
    'exact-mirror',
    'fast-decode-uri-component',
    'memoirist',
  ]);
});

test('of the routes there are runs and probes', () => {
  expect([...loaded].filter((path) => path.startsWith('src/server/routes/')).sort()).toEqual([
    'src/server/routes/health.ts',
    'src/server/routes/runs.ts',
    'src/server/routes/sessions-answers.ts',
  ]);
});

test.each([
  'src/server/openapi/document.ts',
  'src/server/openapi/examples.ts',
  'src/server/console/assets.ts',
  'src/server/routes/runs-operations.ts',
  'src/store/redis.ts',
  'src/store/sqlite.ts',
  'src/stub/operations.ts',
  'src/stub/grpc/server.ts',
  'src/observe/traces/start.ts',
  'src/sandbox/client.ts',
  'src/client/client.ts',
])('%s comes when it is asked for', (path) => {
  expect(bundled.has(path)).toBe(true);
  expect(loaded.has(path)).toBe(false);
});
