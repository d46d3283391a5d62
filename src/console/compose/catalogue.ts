// The catalogue of this build: data in the bundle, made by catalogue.macro.ts.

import { bundleCatalogue } from './catalogue.macro.ts' with { type: 'macro' };
import type { Catalogue } from './schema.ts';

/** A literal. */
export function catalogue(): Catalogue {
  return bundleCatalogue() as unknown as Catalogue; // a macro's promise is its value in the bundle
}
