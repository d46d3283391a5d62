// The Python that jobs of a fake shellctl find: the real one, without a version manager's wrapper, which takes longer than any look.

import { dirname } from 'node:path';

/** A PATH on which `python3` is the interpreter itself. */
export function pythonPath(): string {
  const found = Bun.spawnSync(['python3', '-c', 'import sys; print(sys.executable)']);
  return `${dirname(found.stdout.toString().trim())}:${process.env.PATH}`;
}
