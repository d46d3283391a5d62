// `version`.

import { VERSION } from '../base/version.ts';
import { EXIT, type Io } from './io.ts';

/** Prints name and version. */
export async function printVersion(io: Io): Promise<number> {
  await io.print(`dify-agent ${VERSION}\n`);
  return EXIT.ok;
}
