// What of a composition is kept with a session: names and types of all layers, and the specs of those that a clean-up enters,
// without anything that looks like a secret (spec 07 §4.3 rule 2).

import type { Composition, JsonObject, JsonValue, LayerSpec } from '../client/types.ts';
import type { TopologyEntry } from './types.ts';

/** Types whose configuration is made of credentials, or that make a run more than a clean-up. */
export const CREDENTIAL_LAYERS: ReadonlySet<string> = new Set([
  'dify.plugin.llm',
  'dify.plugin.tools',
  'dify.core.tools',
  'test.scripted_llm',
]);

/** A run is a clean-up only without a layer of this name. */
const MODEL = 'llm';

/** Looked for in keys without `-` and `_`, in any case (spec 07 §8.7, and what else is usual). */
const SECRET_KEY = /secret|credential|token|password|passwd|passphrase|apikey|privatekey|authorization|base64data/;

export interface StoredComposition {
  readonly specs: readonly LayerSpec[];
  readonly topology: readonly TopologyEntry[];
}

/** What is stored of a composition. `more`: types to leave out beside CREDENTIAL_LAYERS. */
export function storedComposition({ layers }: Composition, more: ReadonlySet<string>): StoredComposition {
  const kept = layers.filter(({ name, type }) => !(name === MODEL || CREDENTIAL_LAYERS.has(type) || more.has(type)));
  return {
    specs: kept.map(({ name, type, deps = {}, metadata = {}, config = null }) => {
      return { name, type, deps, metadata: withoutSecretsIn(metadata), config: withoutSecrets(config) };
    }),
    topology: layers.map(({ name, type }) => ({ name, type })),
  };
}

/** The value without secret-looking keys, and without the `value` beside a secret-looking `name`. */
export function withoutSecrets(value: JsonValue): JsonValue {
  if (typeof value !== 'object' || value === null) return value;
  if (isList(value)) return value.map(withoutSecrets);
  return withoutSecretsIn(value);
}

function withoutSecretsIn(object: JsonObject): JsonObject {
  const named = typeof object.name === 'string' && looksSecret(object.name);
  // Entries keep a key called `__proto__` a key.
  return Object.fromEntries(
    Object.entries(object)
      .filter(([key]) => !(looksSecret(key) || (named && key === 'value')))
      .map(([key, member]) => [key, withoutSecrets(member)]),
  );
}

function looksSecret(key: string): boolean {
  return SECRET_KEY.test(key.toLowerCase().replace(/[-_]/g, ''));
}

/** Array.isArray does not narrow read-only lists. */
function isList(value: object): value is readonly JsonValue[] {
  return Array.isArray(value);
}
