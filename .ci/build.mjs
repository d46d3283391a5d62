// `npm run build:binary`: compiles the executable. One place for the flags, shared with the release build (release.mjs).
// Usage: node .ci/build.mjs [--target bun-linux-x64-baseline] [--outfile dist/dify-agent] [--revision ID]

import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const root = fileURLToPath(new URL('..', import.meta.url));

const FLAGS = [
  '--compile',
  // Identifiers stay, or class names in logs become `Is`.
  '--minify-syntax',
  '--minify-whitespace',
  // Parsed ahead of time: the start takes half as long.
  '--bytecode',
  '--sourcemap',
  // A server binary must not read .env or preloads of the directory it is started in.
  '--no-compile-autoload-dotenv',
  '--no-compile-autoload-bunfig',
];

const { values } = parseArgs({
  options: {
    target: { type: 'string' },
    outfile: { type: 'string', default: 'dist/dify-agent' },
    revision: { type: 'string' },
  },
});

const args = ['build', ...FLAGS];
if (values.target !== undefined) args.push(`--target=${values.target}`);
if (values.revision !== undefined) args.push('--define', `BUILD_REVISION=${JSON.stringify(values.revision)}`);
args.push('src/main.ts', '--outfile', values.outfile);
const { status } = spawnSync('node_modules/.bin/bun', args, { cwd: root, stdio: 'inherit' });
process.exitCode = status ?? 1;
