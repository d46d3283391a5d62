// The guides of the client and of sessions say what is so: their TypeScript is compiled as it stands, strictly, and run against the
// binary; what they say about names, defaults and links is there. A page's blocks are one program, from top to bottom.

import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import * as library from '../../src/client/index.ts';
import { listVariables } from '../../src/config/variables.ts';
import { type FakeDaemon, lastItem, startFakeDaemon, toolCallItem } from '../fakes/plugin-daemon.ts';
import { ROOT } from '../support/binary.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { within } from '../support/until.ts';

const PAGES = ['client', 'agent-sessions', 'migrating-from-python'] as const;
const text = (page: string): string => readFileSync(join(ROOT, 'docs', `${page}.md`), 'utf8');

let folder: string;
let daemon: FakeDaemon;
let server: TestServer;

beforeAll(async () => {
  daemon = await startFakeDaemon();
  server = await startServer({ env: { DIFY_AGENT_PLUGIN_DAEMON_URL: daemon.url } });
  folder = mkdtempSync(join(tmpdir(), 'dify-agent-docs-'));
  for (const page of PAGES) writeFileSync(join(folder, `${page}.ts`), programOf(page));
  // What an installed package would be, without building it: test/client/package.test.ts proves the built one.
  const paths = Object.fromEntries(
    ['client/index', 'sessions/index', 'sessions/sqlite', 'sessions/redis'].map((file) => [
      `dify-agent/${file.replace('/index', '')}`,
      [join(ROOT, 'src', `${file}.ts`)],
    ]),
  );
  const compilerOptions = { paths, types: ['bun-types'] };
  writeFileSync(
    join(folder, 'tsconfig.json'),
    JSON.stringify({ extends: join(ROOT, 'tsconfig.json'), compilerOptions, include: ['*.ts'] }),
  );
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
}, 180_000);

afterAll(async () => {
  rmSync(folder, { recursive: true, force: true });
  await server?.dispose();
  await daemon?.stop();
});

/** All TypeScript of a page as one module: what is imported twice is imported once. */
function programOf(page: string): string {
  const imports = new Map<string, Set<string>>();
  const body: string[] = [];
  for (const [, code = ''] of text(page).matchAll(/^```ts\n([\s\S]*?)^```$/gm)) {
    const rest = code.replaceAll(
      /^import (type )?\{([^}]*)\} from '([^']+)';$/gm,
      (_, type: string | undefined, names: string, from: string) => {
        const known = imports.get(from) ?? new Set();
        for (const name of names.split(',').flatMap((one) => one.trim() || [])) known.add(`${type ?? ''}${name}`);
        imports.set(from, known);
        return '';
      },
    );
    body.push(rest);
  }
  const lines = [...imports].map(([from, names]) => `import { ${[...names].join(', ')} } from '${from}';`);
  return `${lines.join('\n')}\n${body.join('\n')}\nexport {};\n`;
}

async function run(command: readonly string[], cwd: string) {
  const child = Bun.spawn([...command], {
    cwd,
    env: { PATH: process.env.PATH ?? '', DIFY_AGENT_URL: server.url },
    stdout: 'pipe',
    stderr: 'pipe',
  });
  const texts = Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text(), child.exited]);
  const [stdout, stderr, code] = await within(command.join(' '), texts, 60_000);
  return { code, stdout, stderr };
}

test('the code of all pages compiles, strictly', async () => {
  const { stdout } = await run([join(ROOT, 'node_modules/.bin/tsc'), '-p', folder, '--pretty', 'false'], folder);
  // What is wrong with the library's own files is for `npm run types`, which has their settings.
  expect(stdout.split('\n').filter((line) => /^[\w-]+\.ts\(/.test(line))).toEqual([]);
}, 90_000);

/** A model that has something to say to everybody, slowly enough to be interrupted. */
const says = ['Oslo', { delay: 30 }, '.', lastItem()] as const;
const often = Array.from({ length: 40 }, () => says);
const question = JSON.stringify({ question: 'May I?', actions: [{ id: 'yes', label: 'Yes' }] });

describe('the code runs:', () => {
  async function output(page: (typeof PAGES)[number]): Promise<readonly string[]> {
    const cwd = join(folder, `run-${page}`);
    mkdirSync(cwd);
    const { code, stdout, stderr } = await run([process.execPath, join(folder, `${page}.ts`)], cwd);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(daemon.violations).toEqual([]);
    return stdout.trimEnd().split('\n');
  }

  test('client.md', async () => {
    daemon.play({ llm: often });
    const lines = await output('client');
    expect(lines[0]).toBe('Oslo.');
    expect(lines).toContain('succeeded Oslo. 0');
    expect(lines).toContain('run_cancelled');
    expect(lines).toContain('changed my mind');
    expect(lines).toContain('true');
    expect(lines).toContain('gone');
    expect(lines).toContain('prompt execution_context history llm tools shell ask_human output');
    expect(lines.slice(-2)).toEqual(['Oslo.', 'Oslo.']);
  }, 90_000);

  test('agent-sessions.md', async () => {
    const asks = [toolCallItem('call_1', 'ask_human', question), lastItem('tool_calls')];
    daemon.play({ llm: [says, says, asks, ...often] });
    const lines = await output('agent-sessions');
    expect(lines[0]).toBe('run_started');
    expect(lines).toContain('Oslo.');
    expect(lines.join('\n')).toContain('form-for-call_1 {');
    expect(lines).toContain('output');
    expect(lines).toContain('2 []');
    expect(lines.join('\n')).toContain('entries: 0');
  }, 90_000);

  test('migrating-from-python.md', async () => {
    daemon.play({ llm: often });
    expect(await output('migrating-from-python')).toEqual(['Oslo.', '404']);
  }, 90_000);
});

test('the client guide names every builder, error and method', () => {
  const guide = text('client');
  const names = Object.keys(library).filter((name) => /^[a-z]|Error$/.test(name) && !HELPERS.includes(name));
  const methods = Object.getOwnPropertyNames(library.Client.prototype).filter((name) => name !== 'constructor');
  for (const name of [...names, ...methods])
    expect({ name, named: guide.includes(name) }).toEqual({ name, named: true });
});
/** Exported for those who look for them; the guide shows their neighbours. */
const HELPERS = ['cleanupComposition', 'isTerminal', 'thinkingOf'];

/** Every page that a reader may come across, by its path from the root. */
const EVERY_PAGE = ['README.md', 'CHANGELOG.md', 'examples/README.md', ...new Bun.Glob('docs/**/*.md').scanSync(ROOT)];
const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8');

test.each(EVERY_PAGE)('links of %s lead somewhere, to their headings too', (page) => {
  for (const [, target = '', heading] of read(page).matchAll(/\]\(([^)#:\s]*)(?:#([^)\s]+))?\)/g)) {
    const path = target === '' ? page : join(dirname(page), target);
    expect({ target, exists: existsSync(join(ROOT, path)) }).toEqual({ target, exists: true });
    if (heading === undefined || !path.endsWith('.md')) continue;
    const headings = [...read(path).matchAll(/^#+ (.+)$/gm)].map(([, title = '']) => anchorOf(title));
    expect({ target, headings }).toMatchObject({ headings: expect.arrayContaining([heading]) });
  }
});

/** Read by the commands, in sandboxes, by tests. */
const OTHERS_READ = [
  'DIFY_AGENT_URL',
  'DIFY_AGENT_STUB_AUTH_JWE',
  'DIFY_AGENT_STUB_DRIVE_BASE',
  'DIFY_AGENT_TEST_PYTHON',
];

// docs/configuration.md is written from the list itself, with the names of older versions.
test.each(EVERY_PAGE.filter((page) => page !== 'docs/configuration.md'))('variables of %s are read', (page) => {
  const known = new Set([...listVariables().map(({ name }) => name), ...OTHERS_READ]);
  const named = [...read(page).matchAll(/\bDIFY_AGENT_[A-Z0-9_]*[A-Z0-9]\b/g)].map(([name]) => name);
  expect(named.filter((name) => !known.has(name))).toEqual([]);
});

test.each(EVERY_PAGE)('commands of %s are in package.json', (page) => {
  const { scripts } = JSON.parse(read('package.json')) as { readonly scripts: Readonly<Record<string, string>> }; // ours
  const names = [...read(page).matchAll(/\bnpm run ([a-z][a-z:]*)/g)].map(([, name = '']) => name);
  expect(names.filter((name) => !(name in scripts))).toEqual([]);
});

/** As GitHub makes them. */
function anchorOf(title: string): string {
  return title
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
    .replaceAll(' ', '-');
}
