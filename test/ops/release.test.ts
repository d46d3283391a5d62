// `npm run release` on one platform, this one: sums that fit, an executable that says what it is, and a bill of materials that
// names what is inside.

import { afterAll, beforeAll, expect, test } from 'bun:test';
import { spawnSync } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../support/binary.ts';

const OUT = `dist/release-test-${process.pid}`;
const folder = join(ROOT, OUT);
const name = process.arch === 'arm64' ? 'dify-agent-linux-arm64' : 'dify-agent-linux-x64';
const read = (file: string) => readFileSync(join(folder, file), 'utf8');
const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { readonly version: string }; // ours

beforeAll(() => {
  const words = ['.ci/release.mjs', '--only', name, '--out', OUT];
  const { status, stderr } = spawnSync('node', words, { cwd: ROOT, encoding: 'utf8' });
  if (status !== 0) throw new Error(stderr);
}, 120_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('the sums fit', () => {
  const { status, stdout } = spawnSync('sha256sum', ['-c', 'SHA256SUMS'], { cwd: folder, encoding: 'utf8' });
  expect([status, stdout]).toEqual([0, `${name}: OK\n`]);
});

test('the executable and release.json say the same', () => {
  const about = JSON.parse(read('release.json')) as { readonly revision: string };
  const { stdout } = spawnSync(join(folder, name), ['version', '--json'], { encoding: 'utf8' });
  expect(about).toMatchObject({ name: 'dify-agent', version, bun: Bun.version, files: [{ name }] });
  expect(JSON.parse(stdout)).toMatchObject({ name: 'dify-agent', version, bun: Bun.version, revision: about.revision });
});

test('the bill of materials is this product’s, with what is compiled in and Bun itself, without tools', () => {
  // What the assertions name; they fail where it is not there.
  const bill = JSON.parse(read('sbom.cdx.json')) as {
    readonly metadata: { readonly component: { readonly name: string; readonly version: string } };
    readonly components: readonly { readonly name: string; readonly version: string; readonly licenses?: unknown }[];
  };
  expect(bill.metadata.component).toMatchObject({ name: 'dify-agent', version });
  const names = bill.components.map((component) => component.name);
  expect(names).toEqual(expect.arrayContaining(['elysia', 'redis', 'preact']));
  expect(bill.components).toContainEqual(expect.objectContaining({ name: 'bun', version: Bun.version }));
  expect(names).not.toContain('typescript');
});

test('a platform that it does not make is refused by name', () => {
  const words = ['.ci/release.mjs', '--only', 'dify-agent-plan9', '--out', OUT];
  const { status, stderr } = spawnSync('node', words, { cwd: ROOT, encoding: 'utf8' });
  expect(status).toBe(1);
  expect(stderr).toContain('--only dify-agent-plan9: use dify-agent-linux-x64, ');
});
