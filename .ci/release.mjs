// `npm run release`: everything that a release consists of, under dist/release: one executable per platform, its checksum, the
// list of what is inside (SBOM), and what it was built from. Executables are named in full, because the name is compiled
// into them: the same sources, packages and names give the same bytes wherever they are built (`--check` builds twice).

import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, createReadStream, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const root = fileURLToPath(new URL('..', import.meta.url));

/**
 * Platforms by the name of their executable. `baseline` runs on every x64 processor since 2008, `modern` needs AVX2. Bun's
 * runtimes for other platforms come from the package registry, like the packages.
 */
const TARGETS = {
  'dify-agent-linux-x64': 'bun-linux-x64-modern',
  'dify-agent-linux-x64-baseline': 'bun-linux-x64-baseline',
  'dify-agent-linux-arm64': 'bun-linux-arm64',
};

const { values } = parseArgs({
  options: {
    out: { type: 'string', default: 'dist/release' },
    only: { type: 'string', multiple: true, default: Object.keys(TARGETS) },
    check: { type: 'boolean', default: false },
  },
});

await main();

async function main() {
  for (const name of values.only) {
    if (!(name in TARGETS)) throw new Error(`--only ${name}: use ${Object.keys(TARGETS).join(', ')}`);
  }
  const out = join(root, values.out);
  rmSync(out, { recursive: true, force: true });
  mkdirSync(out, { recursive: true });
  const { name: product, version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const revision = output('git', ['rev-parse', 'HEAD']);
  const changed = output('git', ['status', '--porcelain', '--untracked-files=no']) !== '';

  const files = [];
  for (const name of values.only) {
    const target = TARGETS[name];
    const path = join(out, name);
    build(target, path, revision);
    const sha256 = await digest(path);
    if (values.check) await checkAgain(target, name, revision, sha256);
    files.push({ name, target, sha256 });
  }
  writeFileSync(join(out, 'SHA256SUMS'), files.map(({ name, sha256 }) => `${sha256}  ${name}\n`).join(''));
  const bun = output('node_modules/.bin/bun', ['--version']);
  writeFileSync(join(out, 'sbom.cdx.json'), `${JSON.stringify(sbom(product, bun), null, 2)}\n`);
  const about = { name: product, version, revision, changed, bun, files };
  writeFileSync(join(out, 'release.json'), `${JSON.stringify(about, null, 2)}\n`);
  copyFileSync(join(root, 'docs/ops/dify-agent.service'), join(out, 'dify-agent.service'));
  console.log(readFileSync(join(out, 'SHA256SUMS'), 'utf8').trimEnd());
}

function build(target, outfile, revision) {
  run('node', ['.ci/build.mjs', '--target', target, '--outfile', outfile, '--revision', revision]);
}

/** Builds once more, elsewhere, and compares. */
async function checkAgain(target, name, revision, sha256) {
  const folder = mkdtempSync(join(tmpdir(), 'dify-agent-release-'));
  try {
    build(target, join(folder, name), revision);
    const again = await digest(join(folder, name));
    if (again !== sha256) throw new Error(`${name}: a second build gave ${again}, the first ${sha256}`);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * CycloneDX, of the packages that are compiled in: those that serve only development are left out. One of these is inside all
 * the same: Bun is what executes the rest.
 */
function sbom(product, bun) {
  const words = ['sbom', '--package-lock-only', '--sbom-format=cyclonedx', '--sbom-type=application'];
  const all = JSON.parse(output('npm', words));
  const bill = JSON.parse(output('npm', [...words, '--omit=dev']));
  const runtime = all.components.find(({ name, version }) => name === 'bun' && version === bun);
  if (runtime === undefined) throw new Error(`package-lock.json does not name bun ${bun}, which compiles`);
  bill.components.push({ ...runtime, scope: 'required' });
  bill.dependencies.push({ ref: runtime['bom-ref'], dependsOn: [] });
  bill.dependencies.find(({ ref }) => ref === bill.metadata.component['bom-ref']).dependsOn.push(runtime['bom-ref']);
  // npm takes the name of the folder that the clone happens to be in.
  bill.metadata.component.name = product;
  return bill;
}

async function digest(path) {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path)) hash.update(chunk);
  return hash.digest('hex');
}

function run(command, args) {
  const { status } = spawnSync(command, args, { cwd: root, stdio: ['ignore', 2, 2] });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} failed`);
}

function output(command, args) {
  const { status, stdout } = spawnSync(command, args, {
    cwd: root,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} failed`);
  return stdout.trim();
}
