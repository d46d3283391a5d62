// What one environment variable is, and the kinds of values there are: how each is read, bounded, described and printed.
// variables.ts declares the variables with these; special formats (URLs, keys, addresses) are in formats.ts.

import { MASK, maskUrl } from '../observe/redact.ts';

/** A read value, or what is wrong with the text. */
export type Parsed<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly problem: string };

/** The one declaration of a variable: parsing, `check`, `help` and docs/configuration.md all come from it. */
export interface Variable<T> {
  /** `DIFY_AGENT_PORT` */
  readonly name: string;
  /** Names of other vintages that are read when `name` is not set. */
  readonly aliases: readonly string[];
  /** What it does, in one or two sentences. */
  readonly description: string;
  /** What may be written, e.g. `whole number, 0 to 65535`. */
  readonly allowed: string;
  readonly default: T;
  /** Never printed, and known to the redactor. */
  readonly secret: boolean;
  /** May carry a password in its user info, which is never printed. */
  readonly url: boolean;
  parse(text: string): Parsed<T>;
}

/** What every declaration states. */
export interface Declaration {
  readonly name: string;
  readonly aliases?: readonly string[];
  readonly description: string;
  readonly secret?: boolean;
}

/** A tree of declarations in the shape of `T`; a list is the value of one variable. */
export type VariableTree<T> = {
  readonly [K in keyof T]: T[K] extends object
    ? T[K] extends readonly unknown[]
      ? Variable<T[K]>
      : VariableTree<T[K]>
    : Variable<T[K]>;
};

/** Tells a declaration from a branch of the tree. */
export function isVariable(node: object): node is Variable<unknown> {
  return 'parse' in node;
}

/** The longest time a JavaScript timer can wait: 2^31 − 1 ms, in whole seconds. */
export const MAX_TIMER_SECONDS = 2_147_483;

/** A duration that a timer can wait. */
export const SECONDS = { min: 0, max: MAX_TIMER_SECONDS, unit: 'seconds' } as const;

/** The prefix of every variable. */
export const PREFIX = 'DIFY_AGENT_';

export function good<T>(value: T): Parsed<T> {
  return { ok: true, value };
}

export function bad(problem: string): { readonly ok: false; readonly problem: string } {
  return { ok: false, problem };
}

/** A variable with its own format. */
export function variable<T>(
  declaration: Declaration & Pick<Variable<T>, 'allowed' | 'default' | 'parse'> & { readonly url?: boolean },
): Variable<T> {
  return { aliases: [], secret: false, url: false, ...declaration };
}

interface NumberDeclaration extends Declaration {
  readonly default: number;
  readonly min?: number;
  readonly max: number;
  readonly unit?: string;
}

// Python's spellings (spec 01 §7.7: the reference reads these with pydantic): a sign, `_` between digits, `5.0` for an int.
const INTEGER = /^[+-]?\d+(?:_\d+)*(?:\.0+)?$/;
const NUMBER = /^[+-]?(?:\d+(?:_\d+)*\.?(?:\d+(?:_\d+)*)?|\.\d+(?:_\d+)*)(?:[eE][+-]?\d+)?$/;

/** A whole number. An empty text is an error, as in the reference (spec 01 §7.7). */
export function integer(declaration: NumberDeclaration): Variable<number> {
  return numeric(declaration, 'whole number', INTEGER);
}

/** A decimal number. */
export function decimal(declaration: NumberDeclaration): Variable<number> {
  return numeric(declaration, 'number', NUMBER);
}

type OptionalNumber = Omit<NumberDeclaration, 'default'>;

/** A whole number, or null when the variable is not set. */
export function optionalInteger(declaration: OptionalNumber): Variable<number | null> {
  return orUnset(integer({ ...declaration, default: 0 }));
}

/** A decimal number, or null when the variable is not set. */
export function optionalDecimal(declaration: OptionalNumber): Variable<number | null> {
  return orUnset(decimal({ ...declaration, default: 0 }));
}

function orUnset<T>(declared: Variable<T>): Variable<T | null> {
  return { ...declared, default: null };
}

function numeric(declaration: NumberDeclaration, kind: string, grammar: RegExp): Variable<number> {
  const { min, max, unit } = declaration;
  const range = min === undefined ? `at most ${max}` : `${min} to ${max}`;
  const allowed = `${kind}${unit === undefined ? '' : ` of ${unit}`}, ${range}`;
  return variable({
    ...declaration,
    allowed,
    parse(text) {
      const trimmed = text.trim();
      if (trimmed === '') return bad(`is empty; must be a ${allowed}`);
      const value = grammar.test(trimmed) ? Number(trimmed.replaceAll('_', '')) : Number.NaN;
      const fits = Number.isFinite(value) && (min === undefined || value >= min) && value <= max;
      return fits ? good(value) : bad(`${quoted(text)} is not a ${allowed}`);
    },
  });
}

/** One of a few words; case and surrounding blanks do not matter. */
export function choice<const T extends string>(
  declaration: Declaration & { readonly default: NoInfer<T>; readonly choices: readonly T[] },
): Variable<T> {
  const allowed = declaration.choices.map((word) => `\`${word}\``).join(' or ');
  return variable({
    ...declaration,
    allowed,
    parse(text) {
      const word = text.trim().toLowerCase();
      const match = declaration.choices.find((candidate) => candidate === word);
      return match === undefined ? bad(`${quoted(text)} is not ${plain(allowed)}`) : good(match);
    },
  });
}

const TRUE = new Set(['1', 'true', 't', 'yes', 'y', 'on']);
const FALSE = new Set(['0', 'false', 'f', 'no', 'n', 'off']);

/** A switch, in pydantic's words. */
export function flag(declaration: Declaration & { readonly default: boolean }): Variable<boolean> {
  return variable({
    ...declaration,
    allowed: '`true` or `false`',
    parse(text) {
      const word = text.trim().toLowerCase();
      if (TRUE.has(word)) return good(true);
      return FALSE.has(word) ? good(false) : bad(`${quoted(text)} is not true or false`);
    },
  });
}

/** A switch, or null when the variable is not set. */
export function optionalFlag(declaration: Declaration): Variable<boolean | null> {
  return orUnset(flag({ ...declaration, default: false }));
}

/** The value as `check` and the documentation may show it: secrets masked, passwords in URLs too, null as `(unset)`. */
export function printable(variable: Pick<Variable<unknown>, 'secret' | 'url'>, value: unknown): string {
  if (value === null || (Array.isArray(value) && value.length === 0)) return '(unset)';
  const text = String(value);
  if (text === '') return '(empty)';
  if (variable.secret) return MASK;
  return variable.url ? maskUrl(text) : text;
}

/** Without the back quotes that the documentation wants. */
export function plain(markdown: string): string {
  return markdown.replaceAll('`', '');
}

/** A value in a message: short, on one line. Only for kinds that are never secret. */
function quoted(text: string): string {
  return JSON.stringify(text.length > 40 ? `${text.slice(0, 40)}…` : text);
}
