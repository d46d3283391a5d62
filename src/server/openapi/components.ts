// Turns the protocol's schemas into OpenAPI component schemas: every model gets a name and is referred to by it.
// Works on any JSON-like value that has schemas somewhere inside, such as the paths object of the document.

import { RULE, type Rule } from '../../protocol/dialect.ts';
import { COMPUTED_DEFAULT } from './events.ts';

type JsonLike = null | boolean | number | string | readonly JsonLike[] | { readonly [key: string]: JsonLike };
type Members = Record<string, JsonLike>;

/** Collects components while it rewrites values. */
export interface ComponentBuilder {
  /** A copy of `value` as plain JSON, with models replaced by references. */
  rewrite(value: unknown): JsonLike;
  /** The components found so far, by name. */
  components(): Readonly<Record<string, JsonLike>>;
}

/**
 * A builder.
 *
 * @param names names of rules that are no models: enumerations, for instance
 */
export function createComponentBuilder(names: ReadonlyMap<Rule, string>): ComponentBuilder {
  const found = new Map<string, JsonLike>();

  function rewrite(value: unknown): JsonLike {
    if (Array.isArray(value)) return value.map(rewrite);
    if (typeof value !== 'object' || value === null) return value as JsonLike; // schemas hold JSON scalars only
    const rule = (value as { readonly [RULE]?: Rule })[RULE]; // absent on what is no schema
    if (rule === undefined) return members(value);
    if (rule.kind === 'checked') return rewrite(rule.inner);
    if (rule.kind === 'json') return reference('JsonValue', () => ({}));
    const name = rule.kind === 'model' ? rule.name : names.get(rule);
    if (name !== undefined) {
      const { default: fallback, ...body } = value as Members; // a schema is a record of keywords
      const target = reference(name, () => ({ ...members(body), title: name }));
      return fallback === undefined ? target : { ...target, default: fallback };
    }
    if (rule.kind !== 'tagged') return members(value);
    const mapping = Object.fromEntries(
      Object.entries(rule.choices).map(([tag, schema]) => [tag, referenceOf(rewrite(schema))]),
    );
    return { ...members(value), discriminator: { propertyName: rule.tag, mapping } };
  }

  function reference(name: string, body: () => JsonLike): Members {
    if (!found.has(name)) {
      found.set(name, null); // a recursive model finds its name taken
      found.set(name, body());
    }
    return { $ref: `#/components/schemas/${name}` };
  }

  /** The own keywords. Defaults that are made anew each time are not JSON Schema; TypeBox' and our own notes are symbols. */
  function members(value: object): Members {
    const copy: Members = {};
    for (const [key, member] of Object.entries(value)) {
      if (member === undefined || member === COMPUTED_DEFAULT) continue;
      copy[key] = rewrite(member);
    }
    return copy;
  }

  return {
    rewrite,
    components: () => Object.fromEntries([...found].sort(([a], [b]) => (a < b ? -1 : 1))),
  };
}

function referenceOf(schema: JsonLike): JsonLike {
  return (schema as Members).$ref ?? null; // members of a tagged union are models, hence references
}
