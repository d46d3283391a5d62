// Makes the console's files out of src/console with Bun's bundler. Runs as a macro: while the binary is compiled, or while a
// development process loads assets.ts; its result is a literal there. Nothing here is part of a running server.

import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';

/** A file of the page, as text that a literal can hold. */
export interface BundledFile {
  /** Base64 of its gzip form. */
  readonly gzip: string;
  /** Of the content; names it in URLs. */
  readonly hash: string;
}

/** Everything that the page loads. */
export interface ConsoleBundle {
  readonly script: BundledFile;
  readonly style: BundledFile;
}

/** Runs the bundler (a macro may not call it in its own process). Throws what it says when it fails. */
export function bundleConsole(): ConsoleBundle {
  const folder = mkdtempSync(join(tmpdir(), 'dify-agent-console-'));
  try {
    const entry = new URL('../../console/main.tsx', import.meta.url).pathname;
    const define = 'process.env.NODE_ENV="production"';
    const command = ['build', entry, '--target=browser', '--minify', `--define=${define}`, '--outdir', folder];
    const { exitCode, stderr } = Bun.spawnSync([process.execPath, ...command], { stdout: 'ignore', stderr: 'pipe' });
    if (exitCode !== 0) throw new Error(`the console cannot be bundled:\n${stderr}`);
    return { script: packed(join(folder, 'main.js')), style: packed(join(folder, 'main.css')) };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function packed(path: string): BundledFile {
  const content = readFileSync(path);
  return {
    gzip: gzipSync(content, { level: 9 }).toString('base64'),
    hash: createHash('sha256').update(content).digest('hex').slice(0, 16),
  };
}
