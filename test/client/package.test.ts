// The client as others get it: the package as package.json exports it, built by its own script, type-checked by strict
// projects of two kinds, run by Node, bundled for browsers and weighed.

import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createContext, runInContext } from 'node:vm';
import { ROOT } from '../support/binary.ts';
import { delta, started, succeeded } from './events.ts';
import { json, type RawServer, startRawServer, stream } from './raw-server.ts';

/** What the bundle may weigh (the issue asks for 12 KB). */
const MAX_GZIPPED_BYTES = 12 * 1024;

let folder: string;
let packed: string;

async function run(command: readonly string[], cwd: string, env: Readonly<Record<string, string>> = {}) {
  const child = Bun.spawn([...command], {
    cwd,
    env: { PATH: `${ROOT}node_modules/.bin:${process.env.PATH}`, HOME: folder, ...env },
    stdout: 'pipe',
    stderr: 'pipe',
  });
  const [stdout, stderr, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  return { code, stdout, stderr };
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'dify-agent-package-'));
  // What npm would install: the files that package.json names, and its dependencies beside it.
  packed = join(folder, 'node_modules/dify-agent');
  mkdirSync(packed, { recursive: true });
  cpSync(join(ROOT, 'package.json'), join(packed, 'package.json'));
  mkdirSync(join(folder, 'node_modules/@types'));
  symlinkSync(join(ROOT, 'node_modules/@types/node'), join(folder, 'node_modules/@types/node'));
  symlinkSync(join(ROOT, 'node_modules/undici-types'), join(folder, 'node_modules/undici-types'));
  const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { scripts: Record<string, string> }; // ours
  const out = join(packed, 'dist/lib');
  const script = `${manifest.scripts['build:lib']?.replace('dist/lib', out)} --outDir ${out}`;
  const { code, stdout, stderr } = await run(['sh', '-c', script], ROOT);
  if (code !== 0) throw new Error(stdout + stderr);
}, 120_000);

afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** What the compiler must see in the package, not in a package without types. */
const WRONG = `
// @ts-expect-error no model
composition([plainPrompt({ user: 'Hi' })]);
// @ts-expect-error no text
client.getRun(7);
`;

/** A program that uses most of what is exported. */
const PROGRAM = `
import {
  Client, composition, DifyAgentHTTPError, EMPTY_VIEW, foldEvent, isTerminal, plainPrompt, scriptedLlm, textOf,
  type CreateRunRequest, type RunEvent, type RunView, type SessionSnapshot, type TerminalEvent,
} from 'dify-agent/client';

const client = new Client({ baseUrl: process.argv[2] ?? '', token: 'secret' });
const request: CreateRunRequest = {
  composition: composition([plainPrompt({ user: 'Hi' }), scriptedLlm({ turns: [{ items: [{ text: 'Hello' }] }] })]),
};
let view: RunView = EMPTY_VIEW;
const onEvent = (event: RunEvent): void => {
  view = foldEvent(view, event);
};
const end: TerminalEvent = await client.runToCompletion(request, { onEvent, signal: new AbortController().signal });
if (end.type === 'run_succeeded') {
  const snapshot: SessionSnapshot = end.data.session_snapshot;
  console.log(JSON.stringify([textOf(view), end.data.output, snapshot.layers.length, isTerminal(end)]));
}
try {
  await client.getRun('nope');
} catch (error) {
  if (error instanceof DifyAgentHTTPError) console.log(error.name, error.statusCode, error.message);
}
`;

describe('a strict project', () => {
  const strict = {
    strict: true,
    noUncheckedIndexedAccess: true,
    exactOptionalPropertyTypes: true,
    verbatimModuleSyntax: true,
    // The package's own declarations are checked too.
    skipLibCheck: false,
    noEmit: true,
    target: 'es2022',
  };

  test.each([
    [
      'nodenext with @types/node',
      { module: 'nodenext', moduleResolution: 'nodenext', lib: ['es2023'], types: ['node'] },
    ],
    [
      'bundler with the DOM',
      { module: 'esnext', moduleResolution: 'bundler', lib: ['es2023', 'dom', 'dom.iterable'], types: [] },
    ],
  ])(
    'of kind %s type-checks',
    async (kind, options) => {
      const project = join(folder, kind.split(' ')[0] ?? '');
      mkdirSync(project);
      writeFileSync(join(project, 'package.json'), '{"type":"module"}');
      writeFileSync(join(project, 'tsconfig.json'), JSON.stringify({ compilerOptions: { ...strict, ...options } }));
      const program = kind.startsWith('bundler') ? PROGRAM.replace('process.argv[2]', 'location.origin') : PROGRAM;
      writeFileSync(join(project, 'main.ts'), program + WRONG);
      const checked = await run(['tsc', '-p', '.'], project);
      expect(checked.stdout + checked.stderr).toBe('');
    },
    120_000,
  );
});

test('plain Node runs it', async () => {
  const server: RawServer = await startRawServer();
  try {
    server.answer(
      json(202, { run_id: 'run-1', status: 'running' }),
      stream(started('1-0'), delta('2-0', 'ignored: no part')),
      stream(succeeded('3-0', 'Hello')),
      json(404, { detail: 'run not found' }),
    );
    const compiled = new Bun.Transpiler({ loader: 'ts' }).transformSync(PROGRAM);
    writeFileSync(join(folder, 'main.mjs'), compiled);
    const { code, stdout, stderr } = await run(['node', 'main.mjs', server.url], folder);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout.split('\n')).toEqual([
      '["","Hello",0,true]',
      'DifyAgentNotFoundError 404 Dify Agent HTTP 404: run not found',
      '',
    ]);
    expect(server.requests.map(({ headers }) => headers.authorization)).toEqual(Array(4).fill('Bearer secret'));
  } finally {
    await server.close();
  }
}, 30_000);

/** The file and what it imports, all together. */
function closure(file: string, seen = new Map<string, string>()): ReadonlyMap<string, string> {
  if (seen.has(file)) return seen;
  const text = readFileSync(file, 'utf8');
  seen.set(file, text);
  const { imports } = new Bun.Transpiler({ loader: 'js' }).scan(text);
  for (const { path } of imports) {
    if (!path.startsWith('.')) throw new Error(`${file} imports ${path}`);
    closure(join(file, '..', path), seen);
  }
  return seen;
}

test('it needs nothing of a runtime but what Deno and browsers have too', () => {
  const files = closure(join(packed, 'dist/lib/client/index.js'));
  for (const text of files.values()) {
    expect(text).not.toMatch(/\b(?:process|Buffer|Bun|Deno|require|__dirname|setImmediate|global)\b[.([]/);
  }
});

test('the browser bundle is light, whole and names its errors though names are shortened', async () => {
  const built = await Bun.build({
    entrypoints: [join(ROOT, 'src/client/index.ts')],
    target: 'browser',
    format: 'esm',
    minify: true,
    throw: true,
  });
  const [bundle] = built.outputs;
  const text = (await bundle?.text()) ?? '';
  expect(text).not.toMatch(/\bimport\b/);
  expect(Bun.gzipSync(text, { level: 9 }).length).toBeLessThan(MAX_GZIPPED_BYTES);
  const file = join(folder, 'bundle.mjs');
  writeFileSync(file, text);
  const { DifyAgentHTTPError } = (await import(file)) as typeof import('../../src/client/index.ts'); // that it is
  expect(String(new DifyAgentHTTPError(500, 'x'))).toBe('DifyAgentHTTPError: Dify Agent HTTP 500: x');
});

/** What every runtime of the issue has, Deno and browsers included, and the language itself. */
const WEB = [
  'AbortController',
  'Headers',
  'TextDecoder',
  'TextEncoder',
  'URL',
  'btoa',
  'clearTimeout',
  'fetch',
  'performance',
  'setTimeout',
] as const;

test('it works where there is nothing but the web’s own globals', async () => {
  const built = await Bun.build({
    entrypoints: [join(ROOT, 'src/client/index.ts')],
    target: 'browser',
    format: 'cjs',
    throw: true,
  });
  const server = await startRawServer();
  try {
    server.answer(
      json(202, { run_id: 'run-1', status: 'running' }),
      json(503, { detail: 'no' }),
      stream(started('1-0')),
      stream(succeeded('2-0', 'Hello')),
      json(200, { run_id: 'run-1', status: 'cancelled' }),
    );
    const world = {
      ...Object.fromEntries(WEB.map((name) => [name, globalThis[name]])),
      module: { exports: {} },
      exports: {},
      baseUrl: server.url,
    };
    createContext(world);
    runInContext((await built.outputs[0]?.text()) ?? '', world);
    const told: unknown = await runInContext(
      `(async () => {
        const { Client, DifyAgentValidationError } = module.exports;
        const client = new Client({ baseUrl: baseUrl.replace('//', '//user:word@'), timeoutMs: 20000 });
        const end = await client.runToCompletion({ composition: { layers: [] } }, { reconnectDelayMs: 1, deadlineMs: 20000 });
        const cancelled = await client.cancelRun(end.run_id);
        const refused = await client.getRun('').catch((error) => error instanceof DifyAgentValidationError);
        return JSON.stringify([end.data.output, cancelled.status, refused]);
      })()`,
      world,
    );
    expect(told).toBe('["Hello","cancelled",true]');
  } finally {
    await server.close();
  }
});

test('every declaration file that the package points to is there', () => {
  const { exports } = JSON.parse(readFileSync(join(packed, 'package.json'), 'utf8')) as {
    exports: Record<string, Record<string, string>>;
  }; // ours
  const files = new Set(readdirSync(packed, { recursive: true }).map((file) => `./${file}`));
  for (const entry of Object.values(exports).flatMap((conditions) => Object.values(conditions))) {
    expect(files).toContain(entry);
  }
});
