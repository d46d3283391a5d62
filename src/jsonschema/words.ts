// What is wrong with a value, in the words of Python's jsonschema library (spec 02 §9.4): the model reads them, and so
// do people who know the reference. One sentence per keyword; which fault is told is faults.ts'.

import { isJsonObject, type JsonObject, type JsonValue } from '../base/json.ts';
import { keysOf } from '../wiretext/json.ts';
import { isJsonNumber, toNumber } from '../wiretext/numbers.ts';
import { pyRepr } from '../wiretext/repr.ts';
import { sortedByCodePoint } from './order.ts';

/** A keyword that a value violates. */
export interface Violation {
  readonly keyword: string;
  /** The schema that the keyword stands in; false for the schema that nothing fits. */
  readonly schema: JsonObject | false;
  /** The offending value. */
  readonly value: JsonValue;
  /** Names or items that are too many or missing; for dependencies the missing one and who needs it. */
  readonly extras: readonly JsonValue[];
  /** Indexes of the alternatives that fit, for `oneOf`. */
  readonly fitting: readonly number[];
  /** How many items fit, for `contains`. */
  readonly matching: number;
  /** True before 2019-09, when `contains` was worded otherwise. */
  readonly old: boolean;
}

/** The sentence. */
export function describe(violation: Violation): string {
  const { keyword, schema, value } = violation;
  if (schema === false) return `False schema does not allow ${pyRepr(value)}`;
  const limit = schema[keyword] ?? null;
  return SENTENCES[keyword]?.(violation, limit, schema) ?? `${pyRepr(value)} does not fit ${pyRepr(keyword)}`;
}

type Sentence = (violation: Violation, limit: JsonValue, schema: JsonObject) => string;

const SENTENCES: Readonly<Record<string, Sentence>> = {
  type: ({ value }, types) => `${pyRepr(value)} is not of type ${reprs(Array.isArray(types) ? types : [types])}`,
  enum: ({ value }, values) => `${pyRepr(value)} is not one of ${pyRepr(values)}`,
  const: (_, value) => `${pyRepr(value)} was expected`,

  minimum: ({ value }, limit, { exclusiveMinimum }) =>
    `${pyRepr(value)} is less than ${exclusiveMinimum === true ? 'or equal to ' : ''}the minimum of ${pyRepr(limit)}`,
  maximum: ({ value }, limit, { exclusiveMaximum }) =>
    `${pyRepr(value)} is greater than ${exclusiveMaximum === true ? 'or equal to ' : ''}the maximum of ${pyRepr(limit)}`,
  exclusiveMinimum: ({ value }, limit) => `${pyRepr(value)} is less than or equal to the minimum of ${pyRepr(limit)}`,
  exclusiveMaximum: ({ value }, limit) =>
    `${pyRepr(value)} is greater than or equal to the maximum of ${pyRepr(limit)}`,
  multipleOf: ({ value }, divisor) => `${pyRepr(value)} is not a multiple of ${pyRepr(divisor)}`,

  minLength: ({ value }, limit) => `${pyRepr(value)} ${equals(limit, 1) ? 'should be non-empty' : 'is too short'}`,
  maxLength: ({ value }, limit) => `${pyRepr(value)} ${equals(limit, 0) ? 'is expected to be empty' : 'is too long'}`,
  pattern: ({ value }, pattern) => `${pyRepr(value)} does not match ${pyRepr(pattern)}`,

  minItems: ({ value }, limit) => `${pyRepr(value)} ${equals(limit, 1) ? 'should be non-empty' : 'is too short'}`,
  maxItems: ({ value }, limit) => `${pyRepr(value)} ${equals(limit, 0) ? 'is expected to be empty' : 'is too long'}`,
  uniqueItems: ({ value }) => `${pyRepr(value)} has non-unique elements`,
  items: ({ value, extras }) => {
    const allowed = Array.isArray(value) ? value.length - extras.length : 0;
    const found = pyRepr(extras.length === 1 ? extras[0] : extras);
    return `Expected at most ${allowed} ${allowed === 1 ? 'item' : 'items'} but found ${extras.length} extra: ${found}`;
  },
  additionalItems: ({ extras }) => `Additional items are not allowed (${unexpected(extras)})`,
  unevaluatedItems: ({ extras }) => `Unevaluated items are not allowed (${unexpected(extras)})`,
  contains: ({ value, matching, old }, _, { minContains = 1, maxContains = null }) => {
    if (old) return `None of ${pyRepr(value)} are valid under the given schema`;
    const least = isJsonNumber(minContains) ? toNumber(minContains) : 1;
    if (matching >= least) return `Too many items match the given schema (expected at most ${pyRepr(maxContains)})`;
    if (matching === 0) return `${pyRepr(value)} does not contain items matching the given schema`;
    return `Too few items match the given schema (expected at least ${pyRepr(minContains)} but only ${matching} matched)`;
  },

  required: ({ extras: [name] }) => `${pyRepr(name)} is a required property`,
  dependentRequired: ({ extras: [name, owner] }) => `${pyRepr(name)} is a dependency of ${pyRepr(owner)}`,
  dependencies: ({ extras: [name, owner] }) => `${pyRepr(name)} is a dependency of ${pyRepr(owner)}`,
  minProperties: ({ value }, limit) =>
    `${pyRepr(value)} ${equals(limit, 1) ? 'should be non-empty' : 'does not have enough properties'}`,
  maxProperties: ({ value }, limit) =>
    `${pyRepr(value)} ${equals(limit, 0) ? 'is expected to be empty' : 'has too many properties'}`,
  additionalProperties: (violation, _, { patternProperties }) => {
    const extras = sortedNames(violation);
    if (patternProperties === undefined) return `Additional properties are not allowed (${unexpected(extras)})`;
    const patterns = isJsonObject(patternProperties) ? sortedByCodePoint(keysOf(patternProperties)) : [];
    return `${reprs(extras)} ${extras.length === 1 ? 'does' : 'do'} not match any of the regexes: ${reprs(patterns)}`;
  },
  unevaluatedProperties: (violation, schema) => {
    if (schema === false) return `Unevaluated properties are not allowed (${unexpected(sortedNames(violation))})`;
    const { extras } = violation;
    return `Unevaluated properties are not valid under the given schema (${reprs(extras)} ${was(extras)} unevaluated and invalid)`;
  },

  anyOf: ({ value }) => `${pyRepr(value)} is not valid under any of the given schemas`,
  oneOf: ({ value, fitting: [first, ...others] }, schemas) => {
    if (first === undefined) return `${pyRepr(value)} is not valid under any of the given schemas`;
    const both = [...others, first].map((index) => (Array.isArray(schemas) ? schemas[index] : null)); // the reference's order
    return `${pyRepr(value)} is valid under each of ${reprs(both)}`;
  },
  not: ({ value }, schema) => `${pyRepr(value)} should not be valid under ${pyRepr(schema)}`,
};

function reprs(values: readonly unknown[]): string {
  return values.map((value) => pyRepr(value)).join(', ');
}

function unexpected(values: readonly unknown[]): string {
  return `${reprs(values)} ${was(values)} unexpected`;
}

function was(values: readonly unknown[]): string {
  return values.length === 1 ? 'was' : 'were';
}

function sortedNames({ extras }: Violation): readonly string[] {
  return sortedByCodePoint(extras.filter((extra) => typeof extra === 'string'));
}

function equals(limit: JsonValue, number: number): boolean {
  return isJsonNumber(limit) && toNumber(limit) === number;
}
