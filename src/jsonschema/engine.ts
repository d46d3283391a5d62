// The validator library behind this room: ajv, one class per dialect. Loaded by dynamic import, because most runs have no
// schema. What a schema may refer to, how large it may be and how faults are worded is decided before and after.

import { _, type Ajv as AjvClass, type ErrorObject, type KeywordDefinition, type Options } from 'ajv';
import { isJsonObject, type JsonObject, type JsonValue } from '../base/json.ts';
import { pyRepr } from '../wiretext/repr.ts';
import type { Dialect } from './dialects.ts';
import { SchemaError } from './errors.ts';
import { canonicalText, plainNumbers } from './numbers.ts';
import type { Patterns } from './patterns.ts';
import { at, segmentsOf } from './pointers.ts';
import { COST_KEYWORD, type ResolvedSchema, TRACKING_KEYWORD } from './resolved.ts';
import { describe } from './words.ts';
import { EVALUATION, type WorkBudget } from './work.ts';

/** Yields the errors of a value with plain numbers; none when it fits. */
export type Validate = (value: unknown) => readonly ErrorObject[];

/** ajv for one dialect. */
export interface Engine {
  /** @throws SchemaError for what is no schema of the dialect */
  checkSchema(schema: JsonObject): void;
  /** What the function does is spent of the budget; it throws WorkBudgetError. @throws SchemaError */
  compile(schema: ResolvedSchema, patterns: Patterns, budget: WorkBudget): Validate;
}

type AjvConstructor = new (options: Options) => AjvClass;

const CLASSES: Readonly<Record<Dialect, () => Promise<AjvConstructor>>> = {
  'draft-04': async () => (await import('ajv-draft-04')).default as unknown as AjvConstructor, // its d.ts says the core class, which lacks nothing used here
  'draft-06': async () => (await import('ajv')).Ajv,
  'draft-07': async () => (await import('ajv')).Ajv,
  '2019-09': async () => (await import('ajv/dist/2019.js')).Ajv2019,
  '2020-12': async () => (await import('ajv/dist/2020.js')).Ajv2020,
};

const META_URIS: Readonly<Record<Dialect, string>> = {
  'draft-04': 'http://json-schema.org/draft-04/schema',
  'draft-06': 'http://json-schema.org/draft-06/schema',
  'draft-07': 'http://json-schema.org/draft-07/schema',
  '2019-09': 'https://json-schema.org/draft/2019-09/schema',
  '2020-12': 'https://json-schema.org/draft/2020-12/schema',
};

/** Where ajv's own copy is stricter than the published meta-schema: it wants the values of an `enum` to differ. */
const META_SCHEMAS: Partial<Record<Dialect, () => Promise<MetaSchema>>> = {
  'draft-06': async () => (await import('ajv/dist/refs/json-schema-draft-06.json')).default,
  'draft-07': async () => (await import('ajv/dist/refs/json-schema-draft-07.json')).default,
};

interface MetaSchema {
  readonly properties: object;
}

function withLooseEnum(metaSchema: MetaSchema): MetaSchema {
  return { ...metaSchema, properties: { ...metaSchema.properties, enum: { type: 'array' } } };
}

/** No type coercion, no formats, no opinions about style; a name such as `toString` is in an object only as its own. */
const OPTIONS: Options = {
  strict: false,
  logger: false,
  validateFormats: false,
  messages: false,
  verbose: true,
  ownProperties: true,
};

/** Loads ajv and compiles the dialect's meta-schema; 20 to 70 ms, once per dialect. */
export async function loadEngine(dialect: Dialect): Promise<Engine> {
  const Ajv = await CLASSES[dialect]();
  const metaSchema = await META_SCHEMAS[dialect]?.();
  const ajv = withOwnKeywords(new Ajv(metaSchema === undefined ? OPTIONS : { ...OPTIONS, meta: false }), () => {});
  if (metaSchema !== undefined) ajv.addMetaSchema(withLooseEnum(metaSchema));
  const validateSchema = ajv.getSchema(META_URIS[dialect]);
  if (validateSchema === undefined) throw new Error(`ajv lacks the meta-schema of ${dialect}`);
  return {
    checkSchema(schema) {
      if (validateSchema(plainNumbers(schema)) !== true) throw notASchema(schema, validateSchema.errors?.at(-1));
    },
    compile: (schema, patterns, budget) => compileWith(Ajv, schema, patterns, budget),
  };
}

/** The first line as in the reference, then where (spec 02 §9.3). ajv's last error is that of the outermost keyword. */
function notASchema(schema: JsonObject, error: ErrorObject | undefined): SchemaError {
  if (error === undefined) return new SchemaError('json_schema is not a valid JSON Schema');
  const path = segmentsOf(error.instancePath);
  const { keyword, parentSchema, params, propertyName } = error;
  const what = describe({
    keyword,
    schema: isJsonObject(parentSchema) ? parentSchema : false,
    value: propertyName ?? at(schema, path),
    extras: [params.missingProperty, params.property], // of a missing property; other sentences need none
    fitting: [],
    matching: 0,
    old: false,
  });
  const where = path.map((segment, i) => {
    const index: JsonValue = Array.isArray(at(schema, path.slice(0, i))) ? Number(segment) : segment;
    return `[${pyRepr(index)}]`;
  });
  return new SchemaError(`${what}\n\nOn schema${where.join('')}`);
}

/** A fresh instance each time: it keeps nothing of a schema beyond the compiled function. */
function compileWith(
  Ajv: AjvConstructor,
  { schema, tracksEvaluated }: ResolvedSchema,
  patterns: Patterns,
  budget: WorkBudget,
): Validate {
  const regExp = Object.assign((source: string) => patterns.get(source), { code: 'patterns' });
  const options: Options = {
    ...OPTIONS,
    allErrors: true,
    meta: false,
    validateSchema: false,
    addUsedSchema: false,
    code: { regExp, optimize: false },
  };
  const ajv = withOwnKeywords(new Ajv(options), (text) => budget.spend(text.length));
  ajv.addKeyword(startTracking).addKeyword(spending(budget));
  ajv.opts.unevaluated = tracksEvaluated; // the newer dialects' classes set it whatever they are given
  try {
    const validate = ajv.compile<unknown>(schema);
    return (value) => (validate(value) ? [] : (validate.errors ?? []));
  } catch (error) {
    if (error instanceof SchemaError) throw error;
    throw new SchemaError(`Schema could not be compiled: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/**
 * Declares what a schema has evaluated before any branch adds to it. Without this ajv 8.20 declares it inside the first
 * branch that does, and what comes later throws, or sees that of the item before, when that branch was not taken.
 */
const startTracking: KeywordDefinition = {
  keyword: TRACKING_KEYWORD,
  before: 'not',
  code({ gen, it }) {
    it.props = gen.var('props', _`{}`);
    it.items = gen.var('items', 0);
  },
};

/** Counts an evaluation before it happens: what the schema lists, and members that are gone through one by one. */
function spending(budget: WorkBudget): KeywordDefinition {
  const spend = (cost: number): void => budget.spend(EVALUATION * cost);
  const spendOnMembers = (cost: number, value: unknown): void =>
    spend(cost + (typeof value === 'object' && value !== null ? Object.keys(value).length : 0));
  return {
    keyword: COST_KEYWORD,
    before: 'not',
    code({ gen, data, schema, parentSchema }) {
      const loops = LOOPS.some((keyword) => parentSchema[keyword] !== undefined);
      const ref = gen.scopeValue('keyword', { ref: loops ? spendOnMembers : spend });
      gen.code(loops ? _`${ref}(${schema}, ${data})` : _`${ref}(${schema})`);
    },
  };
}

/** Keywords that go through all members of a value. */
const LOOPS = [
  'additionalProperties',
  'patternProperties',
  'propertyNames',
  'unevaluatedItems',
  'unevaluatedProperties',
];

/** `onText` gets every text that stands for a value in a comparison. */
function withOwnKeywords(ajv: AjvClass, onText: (text: string) => void): AjvClass {
  for (const keyword of ownKeywords(onText)) ajv.removeKeyword(keyword.keyword).addKeyword(keyword);
  return ajv;
}

/**
 * ajv compares with a library that calls `valueOf` of whatever the model wrote, and looks for equal items in quadratic
 * time; its `multipleOf` fails beyond 1e21.
 */
function ownKeywords(onText: (text: string) => void) {
  const textOf = (value: unknown): string => {
    const text = canonicalText(value);
    onText(text);
    return text;
  };
  return [
    {
      keyword: 'enum',
      schemaType: 'array',
      compile(values: readonly unknown[]) {
        const texts = new Set(values.map(canonicalText));
        return (value: unknown) => texts.has(textOf(value));
      },
    },
    {
      keyword: 'const',
      compile(expected: unknown) {
        const text = canonicalText(expected);
        return (value: unknown) => text === textOf(value);
      },
    },
    {
      keyword: 'uniqueItems',
      type: 'array',
      schemaType: 'boolean',
      compile: (unique: boolean) => (items: readonly unknown[]) =>
        !unique || items.length < 2 || new Set(items.map(textOf)).size === items.length,
    },
    {
      keyword: 'multipleOf',
      type: 'number',
      schemaType: 'number',
      compile: (divisor: number) => (value: number) => {
        const quotient = value / divisor;
        if (Number.isInteger(divisor) || !Number.isFinite(quotient)) return value % divisor === 0;
        return Number.isInteger(quotient); // as Python does it: 0.3 is no multiple of 0.1
      },
    },
  ] as const;
}
