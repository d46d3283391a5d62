// Schemas and values as they arrive: from JSON text, numbers and key order kept.

import type { JsonObject } from '../../src/base/json.ts';
import { isJsonObject } from '../../src/base/json.ts';
import { type CompiledSchema, createSchemaCompiler, type SchemaCompiler } from '../../src/jsonschema/compiler.ts';
import { SchemaError } from '../../src/jsonschema/errors.ts';
import { parseJson } from '../../src/wiretext/json.ts';

/** The object that a JSON text holds. */
export function object(text: string): JsonObject {
  const parsed = parseJson(text);
  if (!parsed.ok || !isJsonObject(parsed.value)) throw new Error(`not a JSON object: ${text}`);
  return parsed.value;
}

/** Compiles a schema with a compiler of its own. */
export const compile = (schema: JsonObject | string, compiler = createSchemaCompiler()): Promise<CompiledSchema> =>
  compiler.compile(typeof schema === 'string' ? object(schema) : schema);

/** The text with which a schema is refused. */
export async function refusal(schema: JsonObject | string, compiler?: SchemaCompiler): Promise<string> {
  try {
    await compile(schema, compiler);
  } catch (error) {
    if (error instanceof SchemaError) return error.message;
    throw error;
  }
  return 'accepted';
}
