// JSON Schemas that arrive at run time (spec 02 §9.3): checked, made presentable for a model, compiled, kept for the next
// run. The validator itself is loaded when the first schema comes.

import type { JsonObject } from '../base/json.ts';
import { BoundedCache } from './cache.ts';
import { type Dialect, dialectOf } from './dialects.ts';
import type { Engine } from './engine.ts';
import { inlined } from './inlined.ts';
import { schemaText } from './limits.ts';
import { checkReferences, resolver } from './references.ts';

/** A schema that can be used. */
export interface CompiledSchema {
  /** With every reference replaced by its definition and without `$defs`: as a model may see it. */
  readonly exposed: JsonObject;
  /** The first fault of a value by the schema as submitted, e.g. `$.a: 5 is not of type 'string'`; null when it fits. */
  check(value: JsonObject): string | null;
}

/** Compiles schemas and remembers them. */
export interface SchemaCompiler {
  /** Rejects with SchemaError, whose message says what is wrong with the schema. */
  compile(schema: JsonObject): Promise<CompiledSchema>;
}

/** How many compiled schemas are kept, and for how many characters of schema text altogether. */
const MAX_KEPT = 128;
const MAX_KEPT_CHARS = 2_097_152;

/** A compiler with an empty cache. */
export function createSchemaCompiler(): SchemaCompiler {
  const compiled = new BoundedCache<CompiledSchema>(MAX_KEPT, MAX_KEPT_CHARS);
  const engines = new Map<Dialect, Promise<Engine>>();

  function engineOf(dialect: Dialect): Promise<Engine> {
    const known = engines.get(dialect);
    if (known !== undefined) return known;
    const loading = import('./engine.ts').then(({ loadEngine }) => loadEngine(dialect));
    engines.set(dialect, loading);
    return loading;
  }

  return {
    async compile(schema) {
      const text = schemaText(schema);
      const known = compiled.get(text);
      if (known !== undefined) return known;
      checkReferences(schema);
      const dialect = dialectOf(schema);
      const engine = await engineOf(dialect);
      engine.checkSchema(schema);
      const resolve = resolver(schema);
      const exposed = inlined(schema, resolve);
      const { createCheck } = await import('./check.ts');
      const result = { exposed, check: createCheck(schema, dialect, resolve, engine) };
      compiled.set(text, result);
      return result;
    },
  };
}
