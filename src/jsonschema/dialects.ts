// The dialects of JSON Schema: which one a schema is written in, and which keywords assert something in it. A keyword
// that its dialect does not know is an annotation, whatever it means elsewhere (`nullable`, `discriminator`, `format`).

import type { JsonObject } from '../base/json.ts';
import { pyRepr } from '../wiretext/repr.ts';
import { SchemaError } from './errors.ts';

/** A draft, by the name in its URI. */
export type Dialect = 'draft-04' | 'draft-06' | 'draft-07' | '2019-09' | '2020-12';

const BY_URI: ReadonlyMap<string, Dialect> = new Map([
  ['json-schema.org/draft-04/schema', 'draft-04'],
  ['json-schema.org/draft-06/schema', 'draft-06'],
  ['json-schema.org/draft-07/schema', 'draft-07'],
  ['json-schema.org/draft/2019-09/schema', '2019-09'],
  ['json-schema.org/draft/2020-12/schema', '2020-12'],
]);
const DEFAULT: Dialect = '2020-12';

/** By the root's `$schema`; without one, or with an unknown one, 2020-12 (spec 02 §9.3). @throws SchemaError for draft 3. */
export function dialectOf({ $schema: uri }: JsonObject): Dialect {
  if (typeof uri !== 'string') return DEFAULT;
  const known = uri.replace(/^https?:\/\//, '').replace(/#$/, '');
  if (known === 'json-schema.org/draft-03/schema') {
    throw new SchemaError(`$schema ${pyRepr(uri)} is not supported; use draft 4 or later.`);
  }
  return BY_URI.get(known) ?? DEFAULT;
}

/** True when keys beside a `$ref` count for nothing. */
export function ignoresSiblingsOfRef(dialect: Dialect): boolean {
  return dialect.startsWith('draft-');
}

/** In all dialects. `exclusiveMaximum` and `exclusiveMinimum` are modifiers in draft 4. */
const COMMON = [
  'additionalProperties',
  'allOf',
  'anyOf',
  'enum',
  'exclusiveMaximum',
  'exclusiveMinimum',
  'items',
  'maxItems',
  'maxLength',
  'maxProperties',
  'maximum',
  'minItems',
  'minLength',
  'minProperties',
  'minimum',
  'multipleOf',
  'not',
  'oneOf',
  'pattern',
  'patternProperties',
  'properties',
  'required',
  'type',
  'uniqueItems',
];
const SINCE_6 = ['const', 'contains', 'propertyNames'];
const SINCE_7 = [...SINCE_6, 'if'];
const SINCE_2019 = [
  ...SINCE_7,
  'dependentRequired',
  'dependentSchemas',
  'maxContains',
  'minContains',
  'unevaluatedItems',
  'unevaluatedProperties',
];

/** The keywords that assert something, `then` and `else` with their `if`. */
export const ASSERTIONS: Readonly<Record<Dialect, ReadonlySet<string>>> = {
  'draft-04': new Set([...COMMON, 'additionalItems', 'dependencies']),
  'draft-06': new Set([...COMMON, 'additionalItems', 'dependencies', ...SINCE_6]),
  'draft-07': new Set([...COMMON, 'additionalItems', 'dependencies', ...SINCE_7]),
  '2019-09': new Set([...COMMON, 'additionalItems', ...SINCE_2019]),
  '2020-12': new Set([...COMMON, 'prefixItems', ...SINCE_2019]),
};
