// From a schema to the function that says what is wrong with a value: resolved.ts prepares, the engine judges, faults.ts
// tells. Loaded with the engine.

import { isJsonObject, type JsonObject } from '../base/json.ts';
import { keysOf } from '../wiretext/json.ts';
import { type Dialect, ignoresSiblingsOfRef } from './dialects.ts';
import type { Engine } from './engine.ts';
import { firstFault } from './faults.ts';
import { plainNumbers } from './numbers.ts';
import { Patterns } from './patterns.ts';
import type { Resolve } from './references.ts';
import { resolved } from './resolved.ts';
import { WorkBudget, WorkBudgetError } from './work.ts';

/** What is told is cut here: a fault names the value and what the schema wants, and both may be large. */
const MAX_FAULT_CHARS = 20_000;

/** Compiles the check of a schema that inlined.ts accepted. @throws SchemaError */
export function createCheck(
  schema: JsonObject,
  dialect: Dialect,
  resolve: Resolve,
  engine: Engine,
): (value: JsonObject) => string | null {
  const budget = new WorkBudget();
  const patterns = new Patterns(budget);
  const prepared = resolved(schema, dialect, resolve);
  // The engine compiles only patterns that have something to decide.
  for (const { source } of prepared.places.values()) for (const pattern of patternsOf(source)) patterns.get(pattern);
  const validate = engine.compile(prepared, patterns, budget);
  const old = ignoresSiblingsOfRef(dialect);
  return (value) => {
    budget.reset();
    try {
      const errors = validate(plainNumbers(value));
      return errors.length === 0 ? null : cut(firstFault(errors, prepared.places, value, old));
    } catch (error) {
      if (error instanceof WorkBudgetError) return '$: the value is too large to be checked against this schema';
      throw error;
    }
  };
}

function patternsOf(schema: JsonObject | false): readonly string[] {
  if (schema === false) return [];
  const { pattern, patternProperties } = schema;
  const names = isJsonObject(patternProperties) ? keysOf(patternProperties) : [];
  return typeof pattern === 'string' ? [pattern, ...names] : names;
}

function cut(fault: string): string {
  if (fault.length <= MAX_FAULT_CHARS) return fault;
  const half = MAX_FAULT_CHARS / 2;
  return `${fault.slice(0, half)} … ${fault.length - MAX_FAULT_CHARS} characters left out … ${fault.slice(-half)}`;
}
