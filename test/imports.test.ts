// The floors of the house (.dependency-cruiser.cjs), checked on src/; and each rule checked on a small tree that breaks it.

import { describe, expect, test } from 'bun:test';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { cruise, type ICruiseOptions, type ICruiseResult, type IFlattenedRuleSet } from 'dependency-cruiser';

const ROOT = new URL('..', import.meta.url).pathname;

interface Rules extends IFlattenedRuleSet {
  readonly options: ICruiseOptions;
}

/** One line per broken rule: `rule: from → to`. */
async function violations(baseDir: string): Promise<readonly string[]> {
  // A CommonJS file without types; its shape is what the library documents for its configuration.
  const { options, ...ruleSet } = createRequire(import.meta.url)('../.dependency-cruiser.cjs') as Rules;
  // The compiler's options matter for path aliases alone, and there are none.
  const { tsConfig: _, ...rest } = options;
  const { output } = await cruise(['src'], { ...rest, baseDir, ruleSet, validate: true });
  // Without an output type the library answers with the result object.
  const { summary } = output as ICruiseResult;
  if (summary.totalCruised === 0) throw new Error(`nothing to look at in ${baseDir}`);
  return summary.violations.map(({ rule, from, to }) => `${rule.name}: ${from} → ${to}`);
}

test('no import goes up, and no two rooms import each other', async () => {
  expect(await violations(ROOT)).toEqual([]);
}, 60_000);

/** What each rule must catch: files of a tree, and the one line that names the culprit. */
const FORBIDDEN: readonly (readonly [string, Readonly<Record<string, string>>, string])[] = [
  [
    'an import of a room above',
    { 'src/base/a.ts': "import '../server/b.ts';", 'src/server/b.ts': 'export {};' },
    'not-above-base: src/base/a.ts → src/server/b.ts',
  ],
  [
    'an import of a type from above',
    {
      'src/agent/a.ts': "import type { B } from '../runs/b.ts'; export type A = B;",
      'src/runs/b.ts': 'export type B = 1;',
    },
    'not-above-compositor-agent-peers: src/agent/a.ts → src/runs/b.ts',
  ],
  [
    'a room that has no floor',
    { 'src/cellar/a.ts': "import '../base/b.ts';", 'src/base/b.ts': 'export {};' },
    'known-room: src/cellar/a.ts → src/base/b.ts',
  ],
  [
    'a circle of files',
    { 'src/agent/a.ts': "import './b.ts';", 'src/agent/b.ts': "import './a.ts';" },
    'no-circle: src/agent/a.ts → src/agent/b.ts',
  ],
  [
    'a circle of rooms',
    {
      'src/models/a.ts': "import '../layers/b.ts';",
      'src/models/c.ts': 'export {};',
      'src/layers/b.ts': 'export {};',
      'src/layers/d.ts': "import '../models/c.ts';",
    },
    'no-room-circle: src/layers → src/models',
  ],
  [
    'a command that loads the server at once',
    { 'src/cli/a.ts': "import '../app.ts';", 'src/app.ts': 'export {};' },
    'commands-load-the-server-late: src/cli/a.ts → src/app.ts',
  ],
  [
    'an import of the tests',
    { 'src/base/a.ts': "import '../../test/b.ts';", 'test/b.ts': 'export {};' },
    'no-tests-in-src: src/base/a.ts → test/b.ts',
  ],
  [
    'a package that only development has',
    {
      'package.json': '{"name":"tree","devDependencies":{"x":"1.0.0"}}',
      'node_modules/x/package.json': '{"name":"x","version":"1.0.0","main":"index.js"}',
      'node_modules/x/index.js': 'module.exports = 1;',
      'src/base/a.ts': "import x from 'x'; export const y = x;",
    },
    'no-development-package: src/base/a.ts → node_modules/x/index.js',
  ],
  ['an import of nothing', { 'src/base/a.ts': "import './b.ts';" }, 'resolvable: src/base/a.ts → ./b.ts'],
];

describe('the rules catch', () => {
  test.each(FORBIDDEN)('%s', async (_, files, culprit) => {
    await inTree(files, async (folder) => {
      expect(await violations(folder)).toContain(culprit);
    });
  });

  test('nothing in imports that go down, and in a command that loads the server late', async () => {
    const files = {
      'src/cli/a.ts':
        "import type { App } from '../app.ts'; export const load = (): Promise<App> => import('../app.ts');",
      'src/app.ts': "import './server/b.ts'; export type App = object;",
      'src/server/b.ts': "import '../base/c.ts';",
      'src/base/c.ts': 'export {};',
    };
    await inTree(files, async (folder) => {
      expect(await violations(folder)).toEqual([]);
    });
  });
});

async function inTree(files: Readonly<Record<string, string>>, use: (folder: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'dify-agent-imports-'));
  try {
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(dirname(join(folder, path)), { recursive: true });
      writeFileSync(join(folder, path), text);
    }
    await use(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
