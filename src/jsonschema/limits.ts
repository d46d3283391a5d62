// How large a schema may be, and the texts for those that are larger (spec 02 §14.8: the reference has no bounds, and
// inlining a chain of definitions that each use the next one twice is exponential).

import type { JsonValue } from '../base/json.ts';
import { stringifyJson } from '../wiretext/json.ts';
import { SchemaError } from './errors.ts';

/** JSON characters of a schema, as submitted and once more with its references inlined. */
export const MAX_SCHEMA_CHARS = 262_144;
/** Schemas within the schema after inlining. Compiling this many was measured at a third of a second. */
export const MAX_SUBSCHEMAS = 2000;
/** Levels of schemas within each other, references counted. */
export const MAX_SCHEMA_DEPTH = 100;

/** Counts what an expansion produces; every method throws SchemaError at its bound. */
export class SchemaBudget {
  #subschemas = 0;
  #chars = 0;

  /** One more schema, at this depth from 1. */
  subschema(depth: number): void {
    if (depth > MAX_SCHEMA_DEPTH) {
      throw new SchemaError(`Schema is nested too deeply: at most ${MAX_SCHEMA_DEPTH} levels are supported.`);
    }
    this.#subschemas++;
    if (this.#subschemas > MAX_SUBSCHEMAS) {
      throw new SchemaError(
        `Schema is too large: at most ${MAX_SUBSCHEMAS} subschemas are supported, with every $ref replaced by its definition.`,
      );
    }
  }

  /** A value that is carried over as it is, under its key. */
  value(key: string, value: JsonValue): void {
    this.#add(key.length + stringifyJson(value).length);
  }

  /** A key whose value is counted by itself. */
  key(key: string): void {
    this.#add(key.length);
  }

  #add(chars: number): void {
    this.#chars += chars;
    if (this.#chars > MAX_SCHEMA_CHARS) throw tooLong(', with every $ref replaced by its definition');
  }
}

/** The schema's text. @throws SchemaError when it is too long. */
export function schemaText(schema: JsonValue): string {
  const text = stringifyJson(schema);
  if (text.length > MAX_SCHEMA_CHARS) throw tooLong('');
  return text;
}

function tooLong(how: string): SchemaError {
  return new SchemaError(`Schema is too large: at most ${MAX_SCHEMA_CHARS} characters of JSON are supported${how}.`);
}
