// Reads the text of a `.env` file by the rules of python-dotenv, which the reference's operators wrote their files for:
// comments, `export`, quotes with their escapes, `#` after a blank, `${NAME}` and `${NAME:-default}`. Pure; load.ts
// finds the files and decides which names matter.

/** One `NAME=value` of a file, in file order. A name without `=` has the value null. */
interface Binding {
  readonly name: string;
  readonly value: string | null;
}

const BLANK_LINES = /\s*/y;
const BLANKS = /[^\S\r\n]*/y;
const EXPORT = /(?:export[^\S\r\n]+)?/y;
const SINGLE_QUOTED_NAME = /'([^']+)'/y;
const NAME = /([^=#\s]+)/y;
const EQUALS = /=[^\S\r\n]*/y;
const SINGLE_QUOTED = /'((?:\\'|[^'])*)'/y;
const DOUBLE_QUOTED = /"((?:\\"|[^"])*)"/y;
const UNQUOTED = /([^\r\n]*)/y;
const COMMENT = /(?:[^\S\r\n]*#[^\r\n]*)?/y;
const END_OF_LINE = /[^\S\r\n]*(?:\r\n|\n|\r|$)/y;
const REST_OF_LINE = /[^\r\n]*(?:\r\n|\n|\r)?/y;
const REFERENCE = /\$\{([^}:]*)(?::-([^}]*))?\}/g;

const DOUBLE_QUOTE_ESCAPES: Readonly<Record<string, string>> = {
  '\\': '\\',
  "'": "'",
  '"': '"',
  a: '\x07',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
};

/** A position in a text, moved by sticky patterns. */
class Scanner {
  position = 0;
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }

  /** The first group (or the whole match) of the pattern here, and moves behind it; null when it does not match. */
  take(pattern: RegExp): string | null {
    pattern.lastIndex = this.position;
    const match = pattern.exec(this.text);
    if (match === null) return null;
    this.position = pattern.lastIndex;
    return match[1] ?? match[0];
  }

  peek(): string {
    return this.text.charAt(this.position);
  }
}

/**
 * The variables of a `.env` text. `${NAME}` means an earlier line of the file, else `environment`, else the default after
 * `:-`, else nothing. Lines that are not bindings are skipped, as python-dotenv does; so is a name without `=`.
 */
export function parseDotenv(
  text: string,
  environment: Readonly<Record<string, string | undefined>>,
): ReadonlyMap<string, string> {
  const values = new Map<string, string | null>();
  const resolve = (name: string, fallback: string | undefined): string =>
    (values.has(name) ? values.get(name) : (environment[name] ?? fallback)) ?? '';
  for (const { name, value } of bindings(text.startsWith('\uFEFF') ? text.slice(1) : text)) {
    const resolved = value?.replace(REFERENCE, (_, key: string, fallback: string | undefined) =>
      resolve(key, fallback),
    );
    values.set(name, resolved ?? null);
  }
  const result = new Map<string, string>();
  for (const [name, value] of values) if (value !== null) result.set(name, value);
  return result;
}

function* bindings(text: string): Generator<Binding> {
  const scanner = new Scanner(text);
  for (;;) {
    scanner.take(BLANK_LINES);
    if (scanner.position >= text.length) return;
    const start = scanner.position;
    const binding = readBinding(scanner);
    if (binding !== null) {
      if (binding.name !== '') yield binding;
      continue;
    }
    scanner.position = start;
    scanner.take(REST_OF_LINE);
  }
}

/** A binding (with an empty name for a comment), or null when the line is none. */
function readBinding(scanner: Scanner): Binding | null {
  scanner.take(EXPORT);
  let name: string | null = '';
  let value: string | null = null;
  if (scanner.peek() !== '#') {
    name = scanner.take(scanner.peek() === "'" ? SINGLE_QUOTED_NAME : NAME);
    if (name === null) return null;
    scanner.take(BLANKS);
    if (scanner.take(EQUALS) !== null) {
      value = readValue(scanner);
      if (value === null) return null;
    }
  }
  scanner.take(COMMENT);
  return scanner.take(END_OF_LINE) === null ? null : { name, value };
}

function readValue(scanner: Scanner): string | null {
  switch (scanner.peek()) {
    case "'":
      return scanner.take(SINGLE_QUOTED)?.replace(/\\([\\'])/g, '$1') ?? null;
    case '"':
      return (
        scanner.take(DOUBLE_QUOTED)?.replace(/\\([\\'"abfnrtv])/g, (_, c: string) => DOUBLE_QUOTE_ESCAPES[c] ?? c) ??
        null
      );
    case '':
    case '\n':
    case '\r':
      return '';
    default:
      return (
        scanner
          .take(UNQUOTED)
          ?.replace(/\s+#.*/, '')
          .trimEnd() ?? null
      );
  }
}
