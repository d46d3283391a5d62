// JSON as it is edited here: a tree that keeps what JavaScript's values lose (texts of numbers, the order of keys, keys that
// occur twice) and knows where each part stands in the text. Pure; reading is reader.ts's.

/** A key or an index. */
export type Step = string | number;
export type Path = readonly Step[];

interface Placed {
  /** Offsets in the text that was read, end exclusive; a node that was made here has zeros. */
  readonly start: number;
  readonly end: number;
}

export interface TextNode extends Placed {
  readonly kind: 'text';
  readonly value: string;
}
export interface NumberNode extends Placed {
  readonly kind: 'number';
  /** As it was written: `1.0`, `12345678901234567890`. */
  readonly text: string;
}
export interface WordNode extends Placed {
  readonly kind: 'word';
  readonly value: boolean | null;
}
export interface ListNode extends Placed {
  readonly kind: 'list';
  readonly items: readonly Node[];
}
export interface ObjectNode extends Placed {
  readonly kind: 'object';
  readonly members: readonly Member[];
}
export interface Member {
  readonly key: string;
  /** Where the key stands, with its quotes. */
  readonly keyStart: number;
  readonly keyEnd: number;
  readonly value: Node;
}
export type Node = TextNode | NumberNode | WordNode | ListNode | ObjectNode;

const NOWHERE = { start: 0, end: 0 } as const;

export const text = (value: string): TextNode => ({ kind: 'text', value, ...NOWHERE });
export const number = (written: string): NumberNode => ({ kind: 'number', text: written, ...NOWHERE });
export const word = (value: boolean | null): WordNode => ({ kind: 'word', value, ...NOWHERE });
export const list = (items: readonly Node[]): ListNode => ({ kind: 'list', items, ...NOWHERE });
export const member = (key: string, value: Node): Member => ({ key, keyStart: 0, keyEnd: 0, value });
export const object = (members: readonly (readonly [key: string, value: Node])[]): ObjectNode => ({
  kind: 'object',
  members: members.map(([key, value]) => member(key, value)),
  ...NOWHERE,
});

/** A member's value. Of a key that occurs twice the last one counts, as for the server. */
export function get(node: Node | undefined, step: Step): Node | undefined {
  if (node?.kind === 'list') return typeof step === 'number' ? node.items[step] : undefined;
  if (node?.kind !== 'object') return undefined;
  return node.members.findLast(({ key }) => key === step)?.value;
}

export function at(root: Node | undefined, path: Path): Node | undefined {
  return path.reduce<Node | undefined>(get, root);
}

/** The text of a text; undefined: it is none. */
export function textOf(node: Node | undefined): string | undefined {
  return node?.kind === 'text' ? node.value : undefined;
}

export function itemsOf(node: Node | undefined): readonly Node[] {
  return node?.kind === 'list' ? node.items : [];
}

export function membersOf(node: Node | undefined): readonly Member[] {
  return node?.kind === 'object' ? node.members : [];
}

/**
 * The tree with another value at the path; undefined removes it. Objects on the way are made where there are none; a list
 * takes a new item at its end.
 */
export function put(root: Node | undefined, path: Path, value: Node | undefined): Node {
  const [step, ...rest] = path;
  if (step === undefined) return value ?? word(null);
  if (root?.kind === 'list' && typeof step === 'number') {
    const inner = rest.length === 0 ? value : put(root.items[step], rest, value);
    const items = [...root.items];
    if (inner === undefined) items.splice(step, 1);
    else items[Math.min(step, items.length)] = inner;
    return { ...root, items };
  }
  const before = root?.kind === 'object' ? root : object([]);
  const key = String(step);
  const inner = rest.length === 0 ? value : put(get(before, key), rest, value);
  if (inner === undefined) return { ...before, members: before.members.filter((one) => one.key !== key) };
  const index = before.members.findLastIndex((one) => one.key === key);
  if (index < 0) return { ...before, members: [...before.members, member(key, inner)] };
  return { ...before, members: before.members.map((one, place) => (place === index ? { ...one, value: inner } : one)) };
}

/** The list with the item at another place. */
export function moved(items: readonly Node[], from: number, to: number): readonly Node[] {
  const copy = [...items];
  copy.splice(to, 0, ...copy.splice(from, 1));
  return copy;
}

/** Characters that cannot be seen or turn their neighbours round: written as escapes, which are the same to any reader. */
const HIDDEN =
  /[\x7f-\x9f\xad\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff0-\ufffb]|[\u{e0000}-\u{e0fff}]/gu;

/** A text as JSON, with nothing hidden in it. @param escaped how the language writes a character by its code */
export function quoted(value: string, escaped: (character: string) => string = jsonEscape): string {
  return JSON.stringify(value).replace(HIDDEN, escaped);
}

/** Beyond U+FFFF: a pair. */
function jsonEscape(character: string): string {
  return character
    .split('')
    .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
    .join('');
}

/** A scalar as JSON. */
export function scalar(node: TextNode | NumberNode | WordNode): string {
  return node.kind === 'text' ? quoted(node.value) : node.kind === 'number' ? node.text : String(node.value);
}

/** Lists and objects that fit are printed on one line of so many characters. */
const LINE = 76;

/** The tree as JSON, two blanks a level; small lists and objects of scalars on one line. */
export function print(node: Node, indent = ''): string {
  if (node.kind !== 'list' && node.kind !== 'object') return scalar(node);
  const inner = `${indent}  `;
  const parts =
    node.kind === 'list'
      ? node.items.map((item) => print(item, inner))
      : node.members.map(({ key, value }) => `${quoted(key)}: ${print(value, inner)}`);
  const [open, close] = node.kind === 'list' ? ['[', ']'] : ['{', '}'];
  if (parts.length === 0) return open + close;
  const line = node.kind === 'list' ? `[${parts.join(', ')}]` : `{ ${parts.join(', ')} }`;
  if (line.length + indent.length <= LINE && isFlat(node)) return line;
  return `${open}\n${parts.map((part) => inner + part).join(',\n')}\n${indent}${close}`;
}

function isFlat(node: ListNode | ObjectNode): boolean {
  const values = node.kind === 'list' ? node.items : node.members.map(({ value }) => value);
  // A lonely text stays beside its key or bracket; what has members opens.
  return (
    values.every(({ kind }) => kind !== 'list' && kind !== 'object') && (node.kind === 'list' || values.length <= 3)
  );
}
