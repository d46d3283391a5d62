// From words to an exit code.

import { describe, expect, test } from 'bun:test';
import { VERSION } from '../../src/base/version.ts';
import { commands, runCommand } from '../../src/cli/commands.ts';
import { fakeIo } from './support.ts';

test.each(['version', '--version', '-v'])('%s prints the version', async (word) => {
  const io = fakeIo([word]);
  expect(await runCommand(io)).toBe(0);
  expect(io.printed()).toBe(`dify-agent ${VERSION}\n`);
});

test.each([[['help']], [['--help']], [['-h']], [['serve', '--help']], [['help', 'check']]])(
  '%j prints the help',
  async (args) => {
    const io = fakeIo(args);
    expect(await runCommand(io)).toBe(0);
    for (const { name } of commands) expect(io.printed()).toContain(`  ${name}`);
    expect(io.printed()).toContain('DIFY_AGENT_SHUTDOWN_GRACE_SECONDS');
  },
);

describe('what is not understood is refused on one line with exit code 2', () => {
  test.each([
    [['srve'], 'unknown command "srve", did you mean serve? See: dify-agent help'],
    [['frobnicate'], 'unknown command "frobnicate". See: dify-agent help'],
    [['--port=1'], 'unknown command "--port=1". See: dify-agent help'],
    [['check', 'now'], 'dify-agent check takes no arguments, got "now". See: dify-agent help'],
  ])('%j', async (args, complaint) => {
    const io = fakeIo(args);
    expect(await runCommand(io)).toBe(2);
    expect(io.complaints).toEqual([complaint]);
    expect(io.printed()).toBe('');
  });
});

test('no word means serve', async () => {
  const io = fakeIo([], { DIFY_AGENT_PORT: '' });
  expect(await runCommand(io)).toBe(1);
  expect(io.complaints).toEqual(['DIFY_AGENT_PORT: is empty; must be a whole number, 0 to 65535']);
});

test('a command that takes words says which', async () => {
  const io = fakeIo(['watch', '--help']);
  expect(await runCommand(io)).toBe(0);
  expect(io.printed()).toStartWith('dify-agent watch: show a run: watch RUN_ID');
  expect(io.printed()).not.toContain('DIFY_AGENT_PORT');
});

test('version and help load nothing of the server', async () => {
  // Asked of the bundler, which knows everything that the entry point imports statically.
  const built = await Bun.build({
    entrypoints: [new URL('../../src/main.ts', import.meta.url).pathname],
    target: 'bun',
    splitting: true,
    metafile: true,
  });
  const entry = Object.values(built.metafile?.outputs ?? {}).find(({ entryPoint }) => entryPoint?.endsWith('main.ts'));
  const inputs = Object.keys(entry?.inputs ?? {});
  expect(inputs.some((path) => path.endsWith('cli/commands.ts'))).toBe(true);
  expect(inputs.filter((path) => path.includes('node_modules') || path.includes('src/server/'))).toEqual([]);
});
