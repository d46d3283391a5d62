// The program's version, from package.json at build time.

import { version } from '../../package.json';

/** E.g. `0.1.0`. */
export const VERSION: string = version;
