// What can be done with the layers of a composition as a whole: add one with what it needs, move, rename, begin a value. Pure.

import { get, itemsOf, list, type Node, number, object, type Path, put, text, textOf, word } from './document.ts';
import { homeOf, placesOf } from './graph-check.ts';
import { nodeOf } from './reader.ts';
import {
  allowsNull,
  type Catalogue,
  choicesOf,
  isFree,
  type LayerInfo,
  layerInfo,
  type Schema,
  withoutNull,
} from './schema.ts';

/** What a value of a schema begins with where the schema leaves it open. By the schema's title. */
const BEGINNINGS: Readonly<Record<string, unknown>> = {
  PromptLayerConfig: { user: '' },
  ScriptedLLMLayerConfig: { turns: [{ items: [{ text: 'Hello.' }] }] },
  ScriptedTurn: { items: [{ text: '' }] },
  ScriptedItem: { text: '' },
  ScriptedToolResult: { content: '' },
  DifyOutputLayerConfig: {
    json_schema: { type: 'object', properties: { answer: { type: 'string' } }, required: ['answer'] },
  },
  DifyPluginToolsLayerConfig: {
    tools: [{ plugin_id: '', provider: '', tool_name: '', credential_type: 'unauthorized' }],
  },
};

/** A value of the schema to begin with. */
export function beginning(schema: Schema): Node {
  const bare = withoutNull(schema);
  const given = bare.title === undefined ? undefined : BEGINNINGS[bare.title];
  if (given !== undefined) return nodeOf(given);
  const [choice] = choicesOf(bare) ?? [];
  if (choice !== undefined) return nodeOf(bare.default ?? choice);
  const [first] = bare.anyOf ?? [];
  // One text is what lists of texts mostly are.
  const texts = bare.anyOf?.find(({ type }) => type === 'string');
  if (first !== undefined) return beginning(texts ?? first);
  switch (bare.type) {
    case 'string':
      return text(typeof bare.default === 'string' ? bare.default : '');
    case 'integer':
    case 'number':
      return number(String(bare.default ?? bare.minimum ?? 0));
    case 'boolean':
      return word(bare.default !== true);
    case 'array':
      return list([]);
    case 'object': {
      const required = bare.required ?? [];
      return object(required.map((key) => [key, beginning(bare.properties?.[key] ?? {})] as const));
    }
    default:
      return isFree(bare) ? text('') : allowsNull(schema) ? word(null) : text('');
  }
}

/** Names that are taken otherwise than by the last part of the type id. */
const USUAL_NAMES: Readonly<Record<string, string>> = { 'dify.plugin.tools': 'tools' };

function freeName(info: LayerInfo, taken: ReadonlySet<string>): string {
  const wanted = homeOf(info) ?? USUAL_NAMES[info.type] ?? info.type.slice(info.type.lastIndexOf('.') + 1);
  if (homeOf(info) !== null) return wanted;
  for (let count = 1; ; count += 1) {
    const name = count === 1 ? wanted : `${wanted}_${count}`;
    if (!taken.has(name)) return name;
  }
}

/** The layers with one more at the end, and before it what it depends on and is not there. */
export function withLayer(known: Catalogue, layers: Node | undefined, type: string): Node {
  const info = layerInfo(known, type);
  if (info === null)
    return list([
      ...itemsOf(layers),
      object([
        ['name', text('')],
        ['type', text(type)],
      ]),
    ]);
  let all = layers ?? list([]);
  const deps: (readonly [string, Node])[] = [];
  for (const [key, { classNames, required }] of Object.entries(info.deps)) {
    const find = () => placesOf(known, all).find((place) => classNames.includes(place.info?.className ?? ''));
    const maker = known.layers.find(({ className }) => classNames.includes(className));
    if (find() === undefined && required && maker !== undefined) all = withLayer(known, all, maker.type);
    const target = find();
    if (target !== undefined) deps.push([key, text(target.name)]);
  }
  const taken = new Set(placesOf(known, all).map(({ name }) => name));
  const hasConfig = Object.keys(info.config.properties ?? {}).length > 0;
  const layer = object([
    ['name', text(freeName(info, taken))],
    ['type', text(type)],
    ...(deps.length === 0 ? [] : [['deps', object(deps)] as const]),
    ...(hasConfig ? [['config', beginning(info.config)] as const] : []),
  ]);
  return list([...itemsOf(all), layer]);
}

/** The document with a layer under another name; what leads to it by name follows, unless another layer has that name. */
export function renamed(root: Node, base: Path, index: number, name: string): Node {
  const layers = itemsOf([...base, 'layers'].reduce<Node | undefined>(get, root));
  const old = textOf(get(layers[index], 'name'));
  const named = put(root, [...base, 'layers', index, 'name'], text(name));
  const isAmbiguous = layers.some((layer, other) => {
    const has = textOf(get(layer, 'name'));
    return other !== index && (has === old || has === name);
  });
  if (old === undefined || old === '' || name === '' || isAmbiguous) return named;
  const followed = layers.reduce<Node>((node, layer, other) => {
    const deps = get(layer, 'deps');
    if (deps?.kind !== 'object' || !deps.members.some(({ value }) => textOf(value) === old)) return node;
    const members = deps.members.map((one) => (textOf(one.value) === old ? { ...one, value: text(name) } : one));
    return put(node, [...base, 'layers', other, 'deps'], { ...deps, members });
  }, named);
  const exits = get(get(followed, 'on_exit'), 'layers');
  if (exits?.kind !== 'object' || get(exits, old) === undefined) return followed;
  const members = exits.members.map((one) => (one.key === old ? { ...one, key: name } : one));
  return put(followed, ['on_exit', 'layers'], { ...exits, members });
}
