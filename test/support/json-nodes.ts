// Reads JSON for comparison: numbers stay texts, key order and duplicate keys stay visible, and every value knows the
// exact source text it came from. Written apart from the product's parser on purpose: a harness that shares the
// product's code cannot see that code's mistakes. Strict RFC 8259, no depth cap (fixtures are ours).

/** A JSON value with its source text. */
export type JsonNode = { readonly source: string } & (
  | { readonly kind: 'null' }
  | { readonly kind: 'boolean'; readonly value: boolean }
  | { readonly kind: 'number'; readonly text: string }
  | { readonly kind: 'string'; readonly value: string }
  | { readonly kind: 'array'; readonly items: readonly JsonNode[] }
  | { readonly kind: 'object'; readonly entries: readonly (readonly [string, JsonNode])[] }
);

type Of<K extends JsonNode['kind']> = Extract<JsonNode, { kind: K }>;

const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const STRING = /"(?:[^"\\\u0000-\u001f]|\\.)*"/y;
const BLANK = /[ \t\r\n]*/y;

/** Parses `text`; throws SyntaxError with the offset. */
export function readJson(text: string): JsonNode {
  let at = 0;
  const fail = (expected: string): never => {
    throw new SyntaxError(`${expected} expected at offset ${at}: ${text.slice(at, at + 40)}`);
  };
  const blank = () => {
    BLANK.lastIndex = at;
    at += BLANK.exec(text)?.[0].length ?? 0;
  };
  const take = (pattern: RegExp, what: string): string => {
    pattern.lastIndex = at;
    const match = pattern.exec(text)?.[0] ?? fail(what);
    at += match.length;
    return match;
  };
  const string = (): string => JSON.parse(take(STRING, 'a string')) as string; // a string literal parses to a string

  function value(): JsonNode {
    blank();
    const start = at;
    const done = <T extends object>(node: T) => ({ ...node, source: text.slice(start, at) });
    const character = text[at];
    if (character === '{') return done(object());
    if (character === '[') return done(array());
    if (character === '"') return done({ kind: 'string' as const, value: string() });
    for (const [word, node] of WORDS) {
      if (text.startsWith(word, at)) {
        at += word.length;
        return done(node);
      }
    }
    return done({ kind: 'number' as const, text: take(NUMBER, 'a value') });
  }

  function array(): { kind: 'array'; items: JsonNode[] } {
    const items: JsonNode[] = [];
    at += 1;
    blank();
    if (text[at] !== ']') {
      for (;;) {
        items.push(value());
        blank();
        if (text[at] !== ',') break;
        at += 1;
      }
    }
    if (text[at] !== ']') fail("']'");
    at += 1;
    return { kind: 'array', items };
  }

  function object(): { kind: 'object'; entries: [string, JsonNode][] } {
    const entries: [string, JsonNode][] = [];
    at += 1;
    blank();
    if (text[at] !== '}') {
      for (;;) {
        blank();
        const key = string();
        blank();
        if (text[at] !== ':') fail("':'");
        at += 1;
        entries.push([key, value()]);
        blank();
        if (text[at] !== ',') break;
        at += 1;
      }
    }
    if (text[at] !== '}') fail("'}'");
    at += 1;
    return { kind: 'object', entries };
  }

  const node = value();
  blank();
  if (at !== text.length) fail('the end');
  return node;
}

const WORDS = [
  ['null', { kind: 'null' as const }],
  ['true', { kind: 'boolean' as const, value: true }],
  ['false', { kind: 'boolean' as const, value: false }],
] as const;

/** Compact JSON: the source text without the blanks between tokens. */
export function compact(node: JsonNode): string {
  if (node.kind === 'array') return `[${node.items.map(compact).join(',')}]`;
  if (node.kind === 'object') {
    return `{${node.entries.map(([key, value]) => `${JSON.stringify(key)}:${compact(value)}`).join(',')}}`;
  }
  return node.source;
}

/** The member `key` of an object node; undefined when absent or not an object. */
export function member(node: JsonNode | undefined, key: string): JsonNode | undefined {
  return node?.kind === 'object' ? node.entries.findLast(([name]) => name === key)?.[1] : undefined;
}

/** Follows keys and indexes from `node`. */
export function at(node: JsonNode | undefined, ...path: readonly (string | number)[]): JsonNode | undefined {
  let current = node;
  for (const step of path) {
    current =
      typeof step === 'string' ? member(current, step) : current?.kind === 'array' ? current.items.at(step) : undefined;
  }
  return current;
}

/** The items of an array node; empty for anything else. */
export function items(node: JsonNode | undefined): readonly JsonNode[] {
  return node?.kind === 'array' ? node.items : [];
}

/** The entries of an object node; empty for anything else. */
export function entries(node: JsonNode | undefined): Of<'object'>['entries'] {
  return node?.kind === 'object' ? node.entries : [];
}

/** The value of a string node. */
export function textOf(node: JsonNode | undefined): string | undefined {
  return node?.kind === 'string' ? node.value : undefined;
}

/** The value of a number node (for counts and statuses, not for comparing). */
export function numberOf(node: JsonNode | undefined): number | undefined {
  return node?.kind === 'number' ? Number(node.text) : undefined;
}
