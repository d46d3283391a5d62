// What is wrong with a document, told at the place where it is: a small walk over the JSON Schemas of the catalogue. The
// server has the last word (it takes a few things more, such as "7" for 7); faults.ts reads what it says. What layers are to
// one another is graph-check.ts's.

import { get, type Node, type ObjectNode, type Path, quoted, textOf } from './document.ts';
import { allowsNull, type Catalogue, choicesOf, isFree, layerSchema, type Schema, withoutNull } from './schema.ts';

export interface Issue {
  readonly path: Path;
  /** A sentence without the path. */
  readonly message: string;
  /** `error`: the run would be refused or fail. `warning`: it may be meant. */
  readonly level: 'error' | 'warning';
  /** The trouble is the key itself, not what stands behind it. */
  readonly atKey?: true;
}

/** Issues that are kept; a document with more is of another kind altogether. */
const MAX_ISSUES = 200;

/** The issues of a whole request, or of a composition alone. */
export function checkDocument(known: Catalogue, root: Node, isRequest: boolean): readonly Issue[] {
  const issues: Issue[] = [];
  const schema = isRequest ? known.request : (known.request.properties?.composition ?? {});
  walk({ known, issues }, schema, root, [], isRequest ? 'request' : 'composition');
  return issues.slice(0, MAX_ISSUES);
}

interface Walk {
  readonly known: Catalogue;
  readonly issues: Issue[];
}

/** Where in a request the walk is: layers have schemas of their own. */
type Role = 'request' | 'composition' | 'layers' | 'layer' | 'config' | 'other';

const ROLES: Readonly<Record<string, Role>> = {
  'request/composition': 'composition',
  'composition/layers': 'layers',
  'layer/config': 'config',
};

function walk(to: Walk, given: Schema, node: Node, path: Path, role: Role): void {
  if (to.issues.length > MAX_ISSUES) return;
  const fail = (message: string): void => {
    to.issues.push({ path, message, level: 'error' });
  };
  if (node.kind === 'word' && node.value === null) {
    // A layer without a configuration has the default one, if every field has a default.
    if (role === 'config' && (given.required ?? []).length === 0) return;
    if (!allowsNull(given) && !isFree(given)) fail(`Null does not fit: ${expected(given)}.`);
    return;
  }
  // The server reads a configuration that is a text as JSON.
  if (role === 'config' && node.kind === 'text') return;
  const schema = role === 'layer' ? layerSchema(to.known, textOf(get(node, 'type')) ?? null) : withoutNull(given);
  if (schema.anyOf !== undefined) {
    walkUnion(to, schema, schema.anyOf, node, path);
    return;
  }
  if (!isKind(schema, node)) {
    fail(`This should be ${expected(schema)}.`);
    return;
  }
  const choices = choicesOf(schema);
  if (choices !== null && node.kind === 'text' && !choices.includes(node.value))
    fail(`This should be ${expected(schema)}.`);
  if (node.kind === 'text' && schema.minLength !== undefined && node.value.length < schema.minLength) {
    fail('This must not be empty.');
  }
  if (node.kind === 'number') checkBounds(schema, Number(node.text), fail);
  if (node.kind === 'list') {
    const inner: Role = role === 'layers' ? 'layer' : 'other';
    for (const [index, item] of node.items.entries()) walk(to, schema.items ?? {}, item, [...path, index], inner);
  }
  if (node.kind === 'object') walkObject(to, schema, node, path, role);
}

function walkObject(to: Walk, schema: Schema, node: ObjectNode, path: Path, role: Role): void {
  const { properties = {}, required = [], additionalProperties } = schema;
  const keys = node.members.map(({ key }) => key);
  for (const key of required) {
    if (!keys.includes(key)) to.issues.push({ path, message: `“${key}” is missing.`, level: 'error' });
  }
  for (const [index, { key, value }] of node.members.entries()) {
    const inner = [...path, key];
    if (keys.lastIndexOf(key) !== index) {
      to.issues.push({
        path: inner,
        message: 'This key occurs twice; the last one counts.',
        level: 'warning',
        atKey: true,
      });
      continue;
    }
    const property = Object.hasOwn(properties, key) ? properties[key] : undefined;
    if (property !== undefined) {
      walk(to, property, value, inner, ROLES[`${role}/${key}`] ?? 'other');
    } else if (additionalProperties === false) {
      to.issues.push({ path: inner, message: unknownKey(key, properties), level: 'error', atKey: true });
    } else if (typeof additionalProperties === 'object') {
      walk(to, additionalProperties, value, inner, 'other');
    }
  }
}

/** Fits when any member does; else what is wrong with the member that comes nearest. */
function walkUnion(to: Walk, schema: Schema, members: readonly Schema[], node: Node, path: Path): void {
  let nearest: readonly Issue[] | null = null;
  for (const member of members) {
    if (!isKind(withoutNull(member), node)) continue;
    const issues: Issue[] = [];
    walk({ ...to, issues }, member, node, path, 'other');
    if (!issues.some(({ level }) => level === 'error')) {
      to.issues.push(...issues);
      return;
    }
    // A member that fits as a whole but for something inside says more than a list of what would fit.
    const isInside = issues.every((issue) => issue.path.length > path.length);
    if (isInside && (nearest === null || issues.length < nearest.length)) nearest = issues;
  }
  to.issues.push(...(nearest ?? [{ path, message: `This should be ${expected(schema)}.`, level: 'error' as const }]));
}

function isKind(schema: Schema, node: Node): boolean {
  if (schema.not !== undefined) return false;
  if (schema.anyOf !== undefined) return schema.anyOf.some((member) => isKind(member, node));
  switch (schema.type) {
    case 'string':
      return node.kind === 'text';
    case 'integer':
      return node.kind === 'number' && (Number.isInteger(Number(node.text)) || /^-?\d+$/.test(node.text));
    case 'number':
      return node.kind === 'number';
    case 'boolean':
      return node.kind === 'word' && node.value !== null;
    case 'null':
      return node.kind === 'word' && node.value === null;
    case 'array':
      return node.kind === 'list';
    case 'object':
      return node.kind === 'object';
    default:
      return true;
  }
}

function checkBounds(schema: Schema, value: number, fail: (message: string) => void): void {
  const { minimum, maximum, exclusiveMinimum } = schema;
  if (minimum !== undefined && value < minimum) fail(`This should be at least ${minimum}.`);
  if (exclusiveMinimum !== undefined && value <= exclusiveMinimum)
    fail(`This should be more than ${exclusiveMinimum}.`);
  if (maximum !== undefined && value > maximum) fail(`This should be at most ${maximum}.`);
}

const KINDS: Readonly<Record<Exclude<NonNullable<Schema['type']>, 'boolean'>, string>> = {
  string: 'a text',
  integer: 'a whole number',
  number: 'a number',
  null: 'null',
  array: 'a list',
  object: 'an object',
};

/** What fits, in words. */
export function expected(schema: Schema): string {
  return oneOf([...new Set(alternatives(withoutNull(schema)))]);
}

function alternatives(schema: Schema): readonly string[] {
  const choices = choicesOf(schema);
  if (choices !== null) return choices.map((choice) => (typeof choice === 'string' ? quoted(choice) : `${choice}`));
  if (schema.anyOf !== undefined) return schema.anyOf.filter(({ not }) => not === undefined).flatMap(alternatives);
  if (schema.type === 'array' && schema.items?.type === 'string') return ['a list of texts'];
  if (schema.type === 'boolean') return ['true', 'false'];
  return [schema.type === undefined ? 'any JSON' : KINDS[schema.type]];
}

function oneOf(words: readonly string[]): string {
  return words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} or ${words.at(-1)}`;
}

function unknownKey(key: string, properties: Readonly<Record<string, Schema>>): string {
  const near = Object.keys(properties).find((one) => isNear(one, key));
  const hint = near === undefined ? '' : ` Is “${near}” meant?`;
  return `There is no such key here.${hint}`;
}

/** One change of a letter apart, or one of two exchanged; or the same but for case and underscores. */
function isNear(one: string, other: string): boolean {
  const plain = (name: string): string => name.toLowerCase().replace(/[_-]/g, '');
  if (plain(one) === plain(other)) return true;
  if (Math.abs(one.length - other.length) > 1) return false;
  let start = 0;
  while (start < one.length && one[start] === other[start]) start += 1;
  let end = 0;
  while (end < Math.min(one.length, other.length) - start && one.at(-1 - end) === other.at(-1 - end)) end += 1;
  const left = [one.length - start - end, other.length - start - end];
  if (left[0] === 2 && left[1] === 2) return one[start] === other[start + 1] && one[start + 1] === other[start];
  return Math.max(...left) <= 1 && Math.min(one.length, other.length) > 2;
}
