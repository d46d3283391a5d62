// Completion while JSON is typed: what may stand at the cursor, from the schemas. The text is usually broken there, so that
// it is not parsed: a scanner goes from the beginning to the cursor and remembers what is open.

import { at, get, itemsOf, type Node, type Path, quoted, type Step, textOf } from './document.ts';
import { type Catalogue, choicesOf, layerSchema, type Schema, withoutNull } from './schema.ts';

export interface Suggestion {
  /** As it is shown. */
  readonly label: string;
  /** JSON that takes the place of what was typed. */
  readonly insert: string;
  /** Where the cursor goes: so many characters before the end of `insert`. */
  readonly back: number;
  /** A sentence, or the kind of value; empty: nothing to say. */
  readonly about: string;
}

export interface Completion {
  /** What is replaced: offsets in the text. */
  readonly start: number;
  readonly end: number;
  readonly suggestions: readonly Suggestion[];
}

/** Suggestions that are offered at once. */
const MAX_SHOWN = 40;

/** An open list or object before the cursor. */
interface Open {
  readonly kind: 'list' | 'object';
  /** Where it stands in its parent. */
  readonly step: Step | null;
  index: number;
  /** The key whose value comes next or is being written; null: a key comes next. */
  key: string | null;
  /** Texts of the members so far. */
  readonly texts: Map<string, string | null>;
}

/** Where the cursor is. */
interface Spot {
  readonly stack: readonly Open[];
  /** Offset where the token at the cursor begins. */
  readonly start: number;
  /** What was typed of it, without an opening quote. */
  readonly typed: string;
  readonly inQuotes: boolean;
  /** A key is written, or a value; null: neither (a comma or a colon is due). */
  readonly at: 'key' | 'value' | null;
}

/** What may be written at the cursor; null: nothing is known. @param whole the last tree that the text had, for what follows */
export function complete(known: Catalogue, source: string, cursor: number, whole: Node | null): Completion | null {
  const spot = scan(source, cursor);
  if (spot?.at == null) return null;
  const isRequest = !(spot.stack[0]?.texts.has('layers') ?? false) && spot.stack[1]?.step !== 'layers';
  const schemas = schemasAt(known, spot, isRequest);
  if (schemas.length === 0) return null;
  const end = endOf(source, cursor, spot.inQuotes);
  const all = spot.at === 'key' ? keysOf(schemas, spot) : valuesOf(known, schemas, spot, whole);
  const wanted = spot.typed.toLowerCase();
  const fitting = all.filter(({ label }) => label.toLowerCase().includes(wanted));
  const sorted = fitting.sort((a, b) => rank(a.label, wanted) - rank(b.label, wanted));
  // A colon that is there already is not written again.
  const follows = /^\s*:/.test(source.slice(end));
  const suggestions = sorted.slice(0, MAX_SHOWN).map((one) => {
    return spot.at === 'key' && follows ? { ...one, insert: quoted(one.label), back: 0 } : one;
  });
  return suggestions.length === 0 ? null : { start: spot.start, end, suggestions };
}

function rank(label: string, wanted: string): number {
  return label.toLowerCase().startsWith(wanted) ? 0 : 1;
}

/** Behind the rest of the token at the cursor. */
function endOf(source: string, cursor: number, inQuotes: boolean): number {
  const rest = source.slice(cursor);
  const token = inQuotes ? /^[^"\\\n]*"/.exec(rest)?.[0] : /^[\w.+-]*/.exec(rest)?.[0];
  return cursor + (token?.length ?? 0);
}

const TOKEN = /"(?:[^"\\\n]|\\.)*"?|[{}[\],:]|[^\s"{}[\],:]+/g;

function scan(source: string, cursor: number): Spot | null {
  const stack: Open[] = [];
  let due = false;
  for (const match of source.slice(0, cursor).matchAll(TOKEN)) {
    const [token] = match;
    const end = match.index + token.length;
    const top = stack.at(-1);
    const isText = token.startsWith('"');
    const isOpenText = isText && (token.length === 1 || !/[^\\](?:\\\\)*"$/.test(token));
    if (end === cursor && (isOpenText || (!isText && /\w$/.test(token)))) {
      if (top === undefined || due) return null;
      const typed = isText ? token.slice(1) : token;
      return { stack, start: match.index, typed, inQuotes: isText, at: role(top) };
    }
    if (isOpenText) return null;
    if (token === '{' || token === '[') {
      stack.push({ kind: token === '{' ? 'object' : 'list', step: stepOf(top), index: 0, key: null, texts: new Map() });
      due = false;
    } else if (token === '}' || token === ']') {
      stack.pop();
      due = true;
    } else if (token === ',') {
      if (top !== undefined) {
        top.index += 1;
        top.key = null;
      }
      due = false;
    } else if (token === ':') {
      due = false;
    } else if (top?.kind === 'object' && top.key === null && isText) {
      top.key = textIn(token);
      top.texts.set(top.key, null);
      due = true;
    } else {
      if (top?.kind === 'object' && top.key !== null) top.texts.set(top.key, isText ? textIn(token) : null);
      due = true;
    }
  }
  const top = stack.at(-1);
  if (top === undefined || due) return null;
  return { stack, start: cursor, typed: '', inQuotes: false, at: role(top) };
}

function role(top: Open): 'key' | 'value' {
  return top.kind === 'object' && top.key === null ? 'key' : 'value';
}

function stepOf(top: Open | undefined): Step | null {
  return top === undefined ? null : top.kind === 'list' ? top.index : top.key;
}

function textIn(token: string): string {
  try {
    return JSON.parse(token) as string; // it is in quotes
  } catch {
    return token.slice(1, -1);
  }
}

/** The schemas that what is open may have; several for a union. */
function schemasAt(known: Catalogue, { stack }: Spot, isRequest: boolean): readonly Schema[] {
  let schemas: readonly Schema[] = [isRequest ? known.request : (known.request.properties?.composition ?? {})];
  for (const [depth, open] of stack.entries()) {
    if (depth > 0) schemas = schemas.flatMap((schema) => inner(schema, open.step));
    const isLayer = isRequest
      ? depth === 3 && stack[1]?.step === 'composition' && stack[2]?.step === 'layers'
      : depth === 2 && stack[1]?.step === 'layers';
    if (isLayer) schemas = [layerSchema(known, open.texts.get('type') ?? null)];
    schemas = schemas.flatMap(members);
  }
  return schemas;
}

function members(schema: Schema): readonly Schema[] {
  const bare = withoutNull(schema);
  return bare.anyOf === undefined ? [bare] : bare.anyOf.flatMap(members);
}

function inner(schema: Schema, step: Step | null): readonly Schema[] {
  if (typeof step === 'number') return schema.items === undefined ? [] : [schema.items];
  if (step === null) return [];
  const { properties = {}, additionalProperties } = schema;
  const property = Object.hasOwn(properties, step) ? properties[step] : undefined;
  if (property !== undefined) return [property];
  return typeof additionalProperties === 'object' ? [additionalProperties] : [];
}

function keysOf(schemas: readonly Schema[], { stack }: Spot): Suggestion[] {
  const present = stack.at(-1)?.texts;
  return schemas.flatMap(({ properties = {}, required = [] }) =>
    Object.entries(properties)
      .filter(([key]) => present?.has(key) !== true)
      .map(([key, schema]) => {
        const { value, back } = starting(schema);
        const about = schema.description ?? '';
        return {
          label: key,
          insert: `${quoted(key)}: ${value}`,
          back,
          about: required.includes(key) ? `required${about === '' ? '' : `; ${about}`}` : about,
        };
      }),
  );
}

/** What to begin a value with, and how far before its end the cursor goes. */
function starting(schema: Schema): { readonly value: string; readonly back: number } {
  const [first] = members(schema);
  if (choicesOf(schema) !== null) return { value: '', back: 0 };
  switch (first?.type) {
    case 'string':
      return { value: '""', back: 1 };
    case 'array':
      return { value: '[]', back: 1 };
    case 'object':
      return { value: '{}', back: 1 };
    default:
      return { value: '', back: 0 };
  }
}

function valuesOf(known: Catalogue, schemas: readonly Schema[], spot: Spot, whole: Node | null): Suggestion[] {
  const top = spot.stack.at(-1);
  const step = stepOf(top);
  const option = (insert: string, label: string, about: string): Suggestion => ({ label, insert, back: 0, about });
  const isLayer = spot.stack.at(-2)?.step === 'layers';
  if (isLayer && step === 'type') {
    return known.layers.map(({ type, summary }) => option(quoted(type), type, summary));
  }
  if (spot.stack.at(-1)?.step === 'deps') return layerNames(whole).map((name) => option(quoted(name), name, 'a layer'));
  return schemas.flatMap((schema) =>
    inner(schema, step).flatMap((value) => {
      const choices = choicesOf(value);
      const nulls = value.anyOf?.some(({ type }) => type === 'null') === true && !spot.inQuotes ? ['null'] : [];
      if (choices !== null) {
        return [
          ...choices.map((choice) => option(JSON.stringify(choice), String(choice), '')),
          ...nulls.map((word) => option(word, word, '')),
        ];
      }
      const words = members(value).some(({ type }) => type === 'boolean') && !spot.inQuotes ? ['true', 'false'] : [];
      return [...words, ...nulls].map((word) => option(word, word, ''));
    }),
  );
}

/** Names of all layers, wherever in a request they are. */
function layerNames(whole: Node | null): readonly string[] {
  if (whole?.kind !== 'object') return [];
  const paths: readonly Path[] = [['composition', 'layers'], ['layers']];
  return paths.flatMap((path) => namesIn(whole, path));
}

function namesIn(root: Node, path: Path): readonly string[] {
  const layers = at(root, path);
  return itemsOf(layers).flatMap((layer) => textOf(get(layer, 'name')) ?? []);
}
