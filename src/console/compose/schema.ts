// The schemas that the compose screen works with: of the request, and of every layer type's configuration. Here are their types
// and the ways to look something up; where they come from is catalogue.ts's.

import type { JsonValue } from '../../client/types.ts';

/** JSON Schema as far as the server's schemas use it. */
export interface Schema {
  readonly type?: 'string' | 'integer' | 'number' | 'boolean' | 'null' | 'array' | 'object';
  readonly title?: string;
  readonly description?: string;
  readonly const?: string | number;
  readonly enum?: readonly (string | number)[];
  readonly anyOf?: readonly Schema[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: boolean | Schema;
  readonly items?: Schema;
  readonly minLength?: number;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly exclusiveMinimum?: number;
  readonly default?: JsonValue;
  /** Only `{}`: nothing fits. */
  readonly not?: object;
  readonly contentMediaType?: string;
}

/** A layer type. */
export interface LayerInfo {
  readonly type: string;
  /** What other types name when they depend on it. */
  readonly className: string;
  /** A sentence. */
  readonly summary: string;
  /** Dependency key → what may stand there. */
  readonly deps: Readonly<Record<string, { readonly classNames: readonly string[]; readonly required: boolean }>>;
  readonly config: Schema;
}

export interface Catalogue {
  /** Of the body of `POST /runs`. The configuration of a layer is anything there. */
  readonly request: Schema;
  /** In the server's order. */
  readonly layers: readonly LayerInfo[];
  /** What names of secrets have in common, whatever their case: a regular expression. */
  readonly secretName: string;
}

/** A layer type by its id. */
export function layerInfo({ layers }: Catalogue, type: string): LayerInfo | null {
  return layers.find((layer) => layer.type === type) ?? null;
}

/** The schema of a composition. */
export function compositionSchema({ request }: Catalogue): Schema {
  return request.properties?.composition ?? {};
}

/** The schema of one layer whose type is known. */
export function layerSchema(known: Catalogue, type: string | null): Schema {
  const layer = compositionSchema(known).properties?.layers?.items ?? {};
  const info = type === null ? null : layerInfo(known, type);
  if (info === null) return layer;
  return { ...layer, properties: { ...layer.properties, config: info.config } };
}

/** A schema that allows null as well, without it; any other one as it is. */
export function withoutNull(schema: Schema): Schema {
  const { anyOf, ...rest } = schema;
  const others = anyOf?.filter(({ type }) => type !== 'null');
  if (anyOf === undefined || others === undefined || others.length === anyOf.length) return schema;
  const [only] = others;
  return others.length === 1 && only !== undefined ? { ...only, ...rest } : { ...rest, anyOf: others };
}

/** Whether null fits. */
export function allowsNull({ type, anyOf }: Schema): boolean {
  return type === 'null' || (anyOf?.some(allowsNull) ?? false);
}

/** Whether anything fits, as far as the schema says. */
export function isFree({ type, anyOf, enum: choices, const: only }: Schema): boolean {
  return type === undefined && anyOf === undefined && choices === undefined && only === undefined;
}

/** The values that fit, when they are few and known; null: they are not. */
export function choicesOf(schema: Schema): readonly (string | number)[] | null {
  const { enum: choices, const: only } = withoutNull(schema);
  return choices ?? (only === undefined ? null : [only]);
}
