// Credentials in a document. Their values are kept in memory, apart from the text that is shown: in the text, and so in every
// snippet, a placeholder stands for them, and they are put in when the run is posted.

import { at, get, itemsOf, membersOf, type Node, type Path, put, text, textOf } from './document.ts';
import type { Catalogue } from './schema.ts';

/** Placeholder → what it stands for. */
export type Vault = ReadonlyMap<string, Node>;

export interface Masked {
  readonly root: Node;
  readonly vault: Vault;
}

/** A place where a credential stands, perhaps an empty one. */
export interface SecretPlace {
  readonly path: Path;
  readonly node: Node;
}

const PLACEHOLDER = /^<secret: [^<>]{1,80}>$/;

export function isPlaceholder(node: Node | undefined): boolean {
  return PLACEHOLDER.test(textOf(node) ?? '');
}

/** Types whose configuration is data: a key named `token` in it is none. */
const DATA_TYPES = new Set([
  'test.scripted_llm',
  'pydantic_ai.history',
  'plain.prompt',
  'dify.output',
  'dify.ask_human',
  'dify.execution_context',
]);
/** Schemas: the same. */
const DATA_KEYS = new Set(['json_schema', 'parameters', 'parameters_json_schema', 'input_schema']);
/** All that is in these is secret. */
const SECRET_KEYS = new Set(['credentials', 'extra_headers']);
/** Objects of any keys: what looks like a secret by its name is one. So is everything in a type that is not known here. */
const OPEN_KEYS = new Set(['extra_body', 'runtime_parameters', 'sandbox']);

/** @param path of the composition */
export function secretPlaces(known: Catalogue, composition: Node | undefined, path: Path): readonly SecretPlace[] {
  const looksSecret = new RegExp(known.secretName, 'i');
  return itemsOf(get(composition, 'layers')).flatMap((layer, index) => {
    const config = get(layer, 'config');
    const type = textOf(get(layer, 'type')) ?? '';
    if (config === undefined || DATA_TYPES.has(type)) return [];
    const isOpen = !known.layers.some((info) => info.type === type);
    return placesIn({ looksSecret }, config, [...path, 'layers', index, 'config'], isOpen ? 'open' : 'closed');
  });
}

/** `open`: names of keys tell; `secret`: everything is. */
type Inside = 'closed' | 'open' | 'secret';

function placesIn(
  by: { readonly looksSecret: RegExp },
  node: Node,
  path: Path,
  inside: Inside,
): readonly SecretPlace[] {
  if (node.kind === 'text' || node.kind === 'number') return inside === 'secret' ? [{ path, node }] : [];
  if (node.kind === 'list') return node.items.flatMap((item, index) => placesIn(by, item, [...path, index], inside));
  const variable = path.at(-2) === 'env' ? textOf(get(node, 'name')) : undefined;
  return membersOf(node).flatMap(({ key, value }) => {
    if (inside !== 'secret' && DATA_KEYS.has(key)) return [];
    const named =
      value.kind === 'text' && by.looksSecret.test(key === 'value' && variable !== undefined ? variable : key);
    const isOpen = inside === 'open' || variable !== undefined;
    const within: Inside =
      inside === 'secret' || SECRET_KEYS.has(key) || (isOpen && named && key !== 'name')
        ? 'secret'
        : inside === 'open' || OPEN_KEYS.has(key)
          ? 'open'
          : 'closed';
    return placesIn(by, value, [...path, key], within);
  });
}

/** The document with every credential in the vault. What is there already stays; the same document when nothing is new. */
export function mask(root: Node, vault: Vault, places: readonly SecretPlace[]): Masked {
  let masked: Masked = { root, vault };
  for (const { path, node } of places) {
    const value = textOf(node);
    if (value === '' || (value !== undefined && (vault.has(value) || PLACEHOLDER.test(value)))) continue;
    masked = keep(masked, path, node);
  }
  return masked;
}

/** Puts a credential into the vault, and a placeholder of its own at its place. An empty one is no secret. */
export function keep({ root, vault }: Masked, path: Path, value: Node): Masked {
  if (textOf(value) === '') return { root: put(root, path, value), vault };
  const present = textOf(at(root, path));
  const mine = present !== undefined && vault.has(present) && occurrences(root, present) === 1 ? present : null;
  const placeholder = mine ?? free(root, vault, nameOf(root, path));
  return { root: put(root, path, text(placeholder)), vault: new Map(vault).set(placeholder, value) };
}

/** The document as it is posted: placeholders at places of credentials give way to what they stand for. */
export function unmask({ root, vault }: Masked, places: readonly SecretPlace[]): Node {
  return places.reduce((node, { path, node: shown }) => {
    const value = vault.get(textOf(shown) ?? '');
    return value === undefined ? node : put(node, path, value);
  }, root);
}

/** A variable of a shell is named beside its value. */
function nameOf(root: Node, path: Path): string {
  const key = String(path.findLast((step) => typeof step === 'string') ?? 'value');
  const name = key === 'value' ? (textOf(at(root, [...path.slice(0, -1), 'name'])) ?? key) : key;
  return name.replace(/[^\w.-]+/g, '_').slice(0, 60);
}

function free(root: Node, vault: Vault, name: string): string {
  for (let count = 1; ; count += 1) {
    const placeholder = `<secret: ${name}${count === 1 ? '' : ` ${count}`}>`;
    if (!vault.has(placeholder) && occurrences(root, placeholder) === 0) return placeholder;
  }
}

function occurrences(node: Node, value: string): number {
  if (node.kind === 'text') return node.value === value ? 1 : 0;
  const inner = node.kind === 'list' ? node.items : membersOf(node).map((member) => member.value);
  return inner.reduce((sum, one) => sum + occurrences(one, value), 0);
}
