// A composition from layers: names occur once, dependencies lead to layers before, a model is there. The compiler checks it
// where it knows the names, the function everywhere.

import type { Composition, LayerSpec } from './types.ts';

/** A layer whose type, name and dependencies the compiler knows. `Needs`: names of the layers that it depends on. */
export interface Layer<Type extends string = string, Name extends string = string, Needs extends string = string>
  extends LayerSpec {
  readonly name: Name;
  readonly type: Type;
  readonly deps?: Readonly<Record<string, Needs>>;
}

/** Lets a good list pass; of another one the compiler says what is wrong. */
type Sound<Layers extends readonly Layer[]> = 'llm' extends Layers[number]['name']
  ? Ordered<Layers>
  : 'a composition needs a layer named "llm"; for a clean-up run use cleanupComposition()';

type Ordered<Layers extends readonly Layer[], Before extends string = never> = Layers extends readonly [
  infer First extends Layer,
  ...infer Rest extends readonly Layer[],
]
  ? string extends First['name'] // not known to the compiler
    ? unknown
    : First['name'] extends Before
      ? `two layers are named "${First['name']}"`
      : [NeedsOf<First>] extends [Before]
        ? Ordered<Rest, Before | First['name']>
        : `layer "${First['name']}" needs "${Exclude<NeedsOf<First>, Before>}" before it`
  : unknown;

type NeedsOf<L extends Layer> = 'deps' extends keyof L
  ? L extends { readonly deps?: Readonly<Record<string, infer Name>> }
    ? Name & string
    : never
  : never;

/** A composition with a model. @throws TypeError for what the compiler could not see */
export function composition<const Layers extends readonly Layer[]>(
  layers: readonly [...Layers] & Sound<Layers>,
): Composition {
  if (!layers.some(({ name }) => name === 'llm')) throw new TypeError('a composition needs a layer named "llm"');
  return checked(layers);
}

/**
 * A composition without a model: with a snapshot and `on_exit` delete it cleans up what a session left behind.
 * @throws TypeError
 */
export function cleanupComposition(layers: readonly LayerSpec[]): Composition {
  return checked(layers);
}

function checked(layers: readonly LayerSpec[]): Composition {
  const before = new Set<string>();
  for (const { name, deps = {} } of layers) {
    if (before.has(name)) throw new TypeError(`two layers are named ${JSON.stringify(name)}`);
    for (const target of Object.values(deps)) {
      if (before.has(target)) continue;
      throw new TypeError(`layer ${JSON.stringify(name)} needs ${JSON.stringify(target)} before it`);
    }
    before.add(name);
  }
  return { schema_version: 1, layers };
}
