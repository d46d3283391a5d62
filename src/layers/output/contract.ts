// The structured answer as a tool (spec 02 §9.4, 06 §1.1): its definition for the model, and what an answer must be like.

import { readArguments, refused } from '../../agent/arguments.ts';
import type { ToolDefinition } from '../../agent/model.ts';
import type { OutputContract } from '../../agent/tools.ts';
import { isJsonObject, type JsonObject, type JsonValue } from '../../base/json.ts';
import { CompositionError } from '../../compositor/errors.ts';
import { sortedNames } from '../../compositor/names.ts';
import type { SchemaCompiler } from '../../jsonschema/compiler.ts';
import { SchemaError } from '../../jsonschema/errors.ts';
import { keysOf, objectFromEntries } from '../../wiretext/json.ts';
import type { OutputConfig } from './config.ts';

const TOOL_NAME = 'final_output';
const STOCK_DESCRIPTION = 'The final response which ends this conversation';
/** UTF-16 units of an answer's text: more than models write; checking this much takes up to a second. */
const MAX_ANSWER_CHARS = 1_048_576;

/** Compiles the schema. @throws CompositionError with the texts of spec 02 §9.3 */
export async function createContract(config: OutputConfig, schemas: SchemaCompiler): Promise<OutputContract> {
  const { exposed, check } = await schemas.compile(config.json_schema).catch((error: unknown) => {
    throw error instanceof SchemaError ? new CompositionError(error.message) : error;
  });
  return {
    definition: toolDefinition(config.description, exposed),
    validate(args) {
      if (typeof args === 'string' && args.length > MAX_ANSWER_CHARS) {
        const msg = `Output is too large: ${args.length} characters, at most ${MAX_ANSWER_CHARS} are allowed`;
        return refused('json_schema_validation', msg, null);
      }
      const read = readArguments(args);
      if (!read.ok) return read;
      const fault = check(read.value);
      if (fault === null) return read;
      return refused('json_schema_validation', `Output does not match JSON Schema: ${fault}`, read.value);
    },
  };
}

/** `strict` is not transmitted (spec 06 §1.1). */
function toolDefinition(configured: string | null, exposed: JsonObject): ToolDefinition {
  const { description: own = null } = exposed;
  const described = configured ?? (typeof own === 'string' ? own : '');
  const parameters = keysOf(exposed)
    .filter((key) => key !== 'description' && key !== 'title')
    .map((key) => [key, exposed[key] ?? null] as const);
  return {
    name: TOOL_NAME,
    description: described === '' ? STOCK_DESCRIPTION : described,
    parameters: sortedMembers(objectFromEntries([...parameters, ['title', TOOL_NAME]]), null),
  };
}

/** pydantic sorts all keys but those directly under a key `properties` or `default`, wherever that stands (spec 06 §1.1). */
function sorted(value: JsonValue, parentKey: string): JsonValue {
  if (Array.isArray(value)) return value.map((item) => sorted(item, parentKey));
  return isJsonObject(value) ? sortedMembers(value, parentKey) : value;
}

function sortedMembers(object: JsonObject, parentKey: string | null): JsonObject {
  const keys = keysOf(object);
  const kept = parentKey === 'properties' || parentKey === 'default' ? keys : sortedNames(keys);
  return objectFromEntries(kept.map((key) => [key, sorted(object[key] ?? null, key)]));
}
