// The program's version, from package.json at build time, and the revision of the sources that a release was built from.

import { version } from '../../package.json';

/** Defined by the release build (.ci/build.mjs). */
declare const BUILD_REVISION: string;

/** E.g. `0.1.0`. */
export const VERSION: string = version;

/** A commit's id; null: this is no release. */
export const REVISION: string | null = typeof BUILD_REVISION === 'string' ? BUILD_REVISION : null;
