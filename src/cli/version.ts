// `version`: what this executable is; `--json` for inventories.

import { REVISION, VERSION } from '../base/version.ts';
import { EXIT, type Io } from './io.ts';

/** Prints name and version, or with `--json` one object: name, version, revision (null: not a release), runtime, platform. */
export async function printVersion(io: Io): Promise<number> {
  const [word, ...more] = io.args;
  if (more.length > 0 || (word !== undefined && word !== '--json')) {
    await io.complain(`expected --json or nothing, got ${JSON.stringify(word)}. Usage: dify-agent version [--json]`);
    return EXIT.usage;
  }
  if (word === undefined) await io.print(`dify-agent ${VERSION}\n`);
  else {
    const about = {
      name: 'dify-agent',
      version: VERSION,
      revision: REVISION,
      bun: Bun.version,
      platform: process.platform,
      arch: process.arch,
    };
    await io.print(`${JSON.stringify(about)}\n`);
  }
  return EXIT.ok;
}
