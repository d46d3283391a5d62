// How schemas are written: TypeBox schemas (OpenAPI and static types) that also carry the rule by which the wire
// validates them (pydantic's lax mode, its class names and error locations). validation/ interprets the rules.
// One declaration, two readers; nothing here validates.

import { type TSchema, Type } from '@sinclair/typebox';
import type { JsonObject, JsonValue, RawNumber } from '../base/json.ts';

/** Where a schema keeps its rule. A symbol, so that it never shows in JSON. */
export const RULE: unique symbol = Symbol('rule');
declare const OUTPUT: unique symbol;

/** A TypeBox schema with a rule and the static type of the validated value (defaults filled in). */
export type Schema<T = unknown> = TSchema & { readonly [RULE]: Rule; readonly [OUTPUT]?: T };

/** The static type of a validated value. */
export type Out<S> = S extends { readonly [OUTPUT]?: infer T } ? Exclude<T, undefined> : never;

/** One field of a model. */
export interface Field<T = unknown, Required extends boolean = boolean> {
  readonly schema: Schema<T>;
  /** True: absence is a `missing` error. */
  readonly required: Required;
  /** Makes the value of an absent field. Undefined with `required: false` means: stays absent. */
  readonly makeDefault?: () => T;
  /** Other names accepted on input (pydantic validation aliases). */
  readonly aliases?: readonly string[];
}

/** What happens to unknown keys: an `extra_forbidden` issue, or silently dropped. */
export type Extra = 'forbid' | 'ignore';

/** A model validator: returns the text of a `value_error`, or null. */
export type Check<T> = (value: T) => string | null;

/** How a schema is validated. */
export type Rule =
  | { readonly kind: 'string'; readonly minLength?: number }
  | { readonly kind: 'int'; readonly ge?: number; readonly gt?: number; readonly le?: number }
  | { readonly kind: 'float' }
  | { readonly kind: 'bool' }
  /** Python's Decimal: a number or its text. Yields what was given. */
  | { readonly kind: 'decimal' }
  /** `literal_error` (typing.Literal) or `enum` (an Enum class): same wording, different type. */
  | { readonly kind: 'choice'; readonly type: 'literal_error' | 'enum'; readonly values: readonly (string | number)[] }
  /** `sequence`: declared as a Sequence, which words its refusals differently. */
  | { readonly kind: 'list'; readonly item: Schema; readonly sequence: boolean }
  | { readonly kind: 'dict'; readonly value: Schema }
  | {
      readonly kind: 'model';
      /** The reference's class name; it stands in error texts. */
      readonly name: string;
      /** `model`: BaseModel; `dataclass`: unknown keys are `unexpected_keyword_argument`; `typed_dict`: not an object is `dict_type`. */
      readonly flavour: 'model' | 'dataclass' | 'typed_dict';
      readonly fields: Readonly<Record<string, Field>>;
      readonly extra: Extra;
      /** Unknown keys that newer vintages write: accepted and dropped. */
      readonly tolerated: readonly string[];
      readonly check?: Check<never>;
    }
  | { readonly kind: 'nullable'; readonly inner: Schema }
  /** The inner rule, then a validator whose text becomes a `value_error` at the same location. */
  | { readonly kind: 'checked'; readonly inner: Schema; readonly check: Check<never> }
  /** Smart union: the first member that accepts strictly wins, then the first that accepts laxly. `label` is its location segment. */
  | { readonly kind: 'union'; readonly members: readonly { readonly label: string; readonly schema: Schema }[] }
  /** Discriminated union; the tag is a location segment. */
  | { readonly kind: 'tagged'; readonly tag: string; readonly choices: Readonly<Record<string, Schema>> }
  /** pydantic's JsonValue: any JSON up to 255 levels (`recursion_loop` beyond). */
  | { readonly kind: 'json' }
  | { readonly kind: 'any' }
  /** What no JSON value is, such as an instance of a class: always this issue. */
  | { readonly kind: 'refused'; readonly type: string; readonly msg: string; readonly ctx: JsonObject | null }
  /** RFC 3339 or epoch number in; RFC 3339 UTC text with `Z` out. */
  | { readonly kind: 'datetime' };

function withRule<T>(schema: TSchema, rule: Rule): Schema<T> {
  return Object.assign(schema, { [RULE]: rule }) as unknown as Schema<T>; // the phantom output type exists only statically
}

export const str = (options: { minLength?: number; description?: string } = {}): Schema<string> =>
  withRule(Type.String(options), {
    kind: 'string',
    ...(options.minLength === undefined ? {} : { minLength: options.minLength }),
  });

/** `schema` and a validator of its value; the validator returns the text of a `value_error`, or null. */
export const checked = <T>(schema: Schema<T>, check: Check<T>): Schema<T> =>
  withRule({ ...schema }, { kind: 'checked', inner: schema, check: check as Check<never> }); // variance: only called with the inner value

export const int = (bounds: { ge?: number; gt?: number; le?: number } = {}): Schema<number | RawNumber> =>
  withRule(
    Type.Integer({
      ...(bounds.ge === undefined ? {} : { minimum: bounds.ge }),
      ...(bounds.gt === undefined ? {} : { exclusiveMinimum: bounds.gt }),
      ...(bounds.le === undefined ? {} : { maximum: bounds.le }),
    }),
    { kind: 'int', ...bounds },
  );

export const float = (): Schema<number | RawNumber> => withRule(Type.Number(), { kind: 'float' });

export const decimal = (): Schema<string | number | RawNumber> =>
  withRule(Type.Unsafe({ anyOf: [Type.Number(), Type.String()] }), { kind: 'decimal' });

export const bool = (): Schema<boolean> => withRule(Type.Boolean(), { kind: 'bool' });

export const literal = <const V extends readonly (string | number)[]>(...values: V): Schema<V[number]> =>
  withRule(choiceSchema(values), { kind: 'choice', type: 'literal_error', values });

export const enumeration = <const V extends readonly string[]>(...values: V): Schema<V[number]> =>
  withRule(choiceSchema(values), { kind: 'choice', type: 'enum', values });

function choiceSchema(values: readonly (string | number)[]): TSchema {
  return Type.Unsafe(
    values.length === 1 ? { type: typeof values[0], const: values[0] } : { type: typeof values[0], enum: [...values] },
  );
}

export const list = <T>(item: Schema<T>): Schema<readonly T[]> =>
  withRule(Type.Array(item), { kind: 'list', item, sequence: false });

/** A list that the reference declares as `Sequence`. */
export const sequence = <T>(item: Schema<T>): Schema<readonly T[]> =>
  withRule(Type.Array(item), { kind: 'list', item, sequence: true });

export const dict = <T>(value: Schema<T>): Schema<Readonly<Record<string, T>>> =>
  withRule(Type.Unsafe({ type: 'object', additionalProperties: value }), { kind: 'dict', value });

export const nullable = <T>(inner: Schema<T>): Schema<T | null> =>
  withRule(Type.Unsafe({ anyOf: [inner, { type: 'null' }] }), { kind: 'nullable', inner });

/** `union({ 'list[str]': list(str()), str: str() })`: keys are the location segments, in the declared order. */
export const union = <M extends Record<string, Schema>>(members: M): Schema<Out<M[keyof M]>> =>
  withRule(Type.Unsafe({ anyOf: Object.values(members) }), {
    kind: 'union',
    members: Object.entries(members).map(([label, schema]) => ({ label, schema })),
  });

export const tagged = <M extends Record<string, Schema>>(tag: string, choices: M): Schema<Out<M[keyof M]>> =>
  withRule(Type.Unsafe({ oneOf: Object.values(choices), discriminator: { propertyName: tag } }), {
    kind: 'tagged',
    tag,
    choices,
  });

export const json = (): Schema<JsonValue> => withRule(Type.Unsafe({}), { kind: 'json' });

export const any = (): Schema<unknown> => withRule(Type.Unsafe({}), { kind: 'any' });

/** Python's bytes. Only as a member of a union that also takes strings: it adds its words to other refusals. */
export const bytes = (): Schema<never> =>
  withRule(Type.Unsafe({ type: 'string', contentMediaType: 'application/octet-stream' }), {
    kind: 'refused',
    type: 'bytes_type',
    msg: 'Input should be a valid bytes',
    ctx: null,
  });

/** An instance of a Python class. Only as a member of a union: it adds its words to the refusals. */
export const instanceOf = (name: string): Schema<never> =>
  withRule(Type.Unsafe({ not: {} }), {
    kind: 'refused',
    type: 'is_instance_of',
    msg: `Input should be an instance of ${name}`,
    ctx: { class: name },
  });

export const datetime = (): Schema<string> => withRule(Type.String({ format: 'date-time' }), { kind: 'datetime' });

/** A field that must be there. */
export const required = <T>(schema: Schema<T>): Field<T, true> => ({ schema, required: true });

/** A field with a default. Objects and arrays are given by a function. */
export const optional = <T>(
  schema: Schema<T>,
  defaultValue: NoInfer<T> | (() => NoInfer<T>),
  options: { aliases?: readonly string[] } = {},
): Field<T, true> => {
  const makeDefault = typeof defaultValue === 'function' ? (defaultValue as () => T) : () => defaultValue; // T is never a function: it is JSON
  return { schema, required: false as unknown as true, makeDefault, ...options }; // statically present: the default fills it
};

/** A field that stays absent when it is absent (TypedDict, total=False). */
export const absent = <T>(schema: Schema<T>): Field<T, false> => ({ schema, required: false });

type Fields = Readonly<Record<string, Field<unknown, boolean>>>;
type ModelOut<F extends Fields> = {
  readonly [K in keyof F as F[K] extends Field<unknown, true> ? K : never]: F[K] extends Field<infer T> ? T : never;
} & {
  readonly [K in keyof F as F[K] extends Field<unknown, true> ? never : K]?: F[K] extends Field<infer T> ? T : never;
};

/** Options of a model. */
export interface ModelOptions<T> {
  /** Default `forbid`. */
  readonly extra?: Extra;
  readonly flavour?: 'model' | 'dataclass' | 'typed_dict';
  readonly tolerated?: readonly string[];
  readonly check?: Check<T>;
  readonly description?: string;
}

/** An object with named fields. `name` is the reference's class name. */
export function model<F extends Fields>(
  name: string,
  fields: F,
  options: ModelOptions<ModelOut<F>> = {},
): Schema<ModelOut<F>> {
  const properties: Record<string, TSchema> = {};
  const mandatory: string[] = [];
  for (const [key, field] of Object.entries(fields)) {
    properties[key] = describeDefault(field);
    if (field.required) mandatory.push(key);
  }
  const schema = Type.Unsafe({
    type: 'object',
    title: name,
    ...(options.description === undefined ? {} : { description: options.description }),
    properties,
    ...(mandatory.length === 0 ? {} : { required: mandatory }),
    ...((options.extra ?? 'forbid') === 'forbid' ? { additionalProperties: false } : {}),
  });
  return withRule(schema, {
    kind: 'model',
    name,
    flavour: options.flavour ?? 'model',
    fields,
    extra: options.extra ?? 'forbid',
    tolerated: options.tolerated ?? [],
    ...(options.check === undefined ? {} : { check: options.check as Check<never> }), // variance: the walker calls it with the model's own value
  });
}

function describeDefault(field: Field): TSchema {
  const value = field.makeDefault?.();
  const plain = typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean';
  return plain ? ({ ...field.schema, default: value } as TSchema) : field.schema; // a copy: the schema may be shared
}

/** The rule of a schema. */
export function ruleOf(schema: Schema): Rule {
  return schema[RULE];
}
