// One log entry as one line: text for people, JSON for collectors. Fields may be anything; what cannot be printed is
// described instead, long texts are cut, and every text passes the redactor before it is escaped. Never throws.

import type { LogFields, LogFormat, LogLevel } from './logger.ts';
import { REDACTED, type Redactor } from './redact.ts';

/** A text longer than this is cut: an entry is for reading, and bodies do not belong here. */
const MAX_TEXT = 4096;
/** The redactor sees four times of that, so that a secret across the cut is seen whole. */
const MAX_SCANNED = 4 * MAX_TEXT;
const MAX_DEPTH = 4;
const MAX_ITEMS = 50;
const SECRET_KEY = /(?:^|[_-])(?:api[_-]?key|token|secret|secret[_-]key|password|authorization)$/i;

type Plain = null | boolean | number | string | readonly Plain[] | { readonly [key: string]: Plain };

/** The parts of an entry. `time` is RFC 3339. */
export interface Entry {
  readonly time: string;
  readonly level: LogLevel;
  readonly message: string;
  readonly fields: LogFields;
}

/** The line, without its line break. */
export function formatEntry(entry: Entry, format: LogFormat, redactor: Redactor): string {
  const message = clean(String(entry.message), redactor);
  const fields = safeFields(entry.fields, redactor);
  return format === 'json'
    ? escapeControls(JSON.stringify({ time: entry.time, level: entry.level, message, ...reserved(fields) }))
    : textLine(entry, message, fields);
}

function textLine(entry: Entry, message: string, fields: { readonly [key: string]: Plain }): string {
  let line = `${entry.time} ${entry.level.toUpperCase().padEnd(5)} ${escapeControls(message)}`;
  for (const [key, value] of Object.entries(fields)) line += ` ${escapeControls(key)}=${textValue(value)}`;
  return line;
}

function textValue(value: Plain): string {
  if (typeof value === 'string' && /^[\w./:@+,~%*[\]-]+$/.test(value)) return value;
  return escapeControls(JSON.stringify(value));
}

/**
 * C0, DEL, C1 (terminal escapes among them), the Unicode line breaks and what turns the direction of text, as `\u` escapes: a
 * line stays one line and reads as it is. JSON stays the same JSON.
 */
function escapeControls(text: string): string {
  return text.replace(
    /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** Fields never replace what the entry itself says. */
function reserved(fields: { readonly [key: string]: Plain }): { readonly [key: string]: Plain } {
  return Object.fromEntries(
    Object.entries(fields).map(([key, value]) =>
      key === 'time' || key === 'level' || key === 'message' ? [`${key}_`, value] : [key, value],
    ),
  );
}

function safeFields(fields: LogFields, redactor: Redactor): { readonly [key: string]: Plain } {
  const safe: Record<string, Plain> = {};
  try {
    for (const key of Object.keys(fields)) {
      const value = safeField(fields, key, redactor, 0);
      if (value !== undefined) safe[key] = value;
    }
  } catch {
    safe.fields = '(unprintable)';
  }
  return safe;
}

function safeField(owner: object, key: string, redactor: Redactor, depth: number): Plain | undefined {
  try {
    // Read inside the try: a getter may throw.
    const value: unknown = Reflect.get(owner, key);
    if (typeof value === 'string' && value !== '' && SECRET_KEY.test(key)) return REDACTED;
    return toPlain(value, redactor, depth);
  } catch {
    return '(unprintable)';
  }
}

function toPlain(value: unknown, redactor: Redactor, depth: number): Plain | undefined {
  switch (typeof value) {
    case 'undefined':
      return undefined;
    case 'string':
      return clean(value, redactor);
    case 'boolean':
      return value;
    case 'number':
      return Number.isFinite(value) ? value : String(value);
    case 'object':
      break;
    default:
      return clean(String(value), redactor);
  }
  if (value === null) return null;
  if (value instanceof Error) return clean(errorChain(value), redactor);
  if (depth >= MAX_DEPTH) return '…';
  if (Array.isArray(value)) {
    return value.slice(0, MAX_ITEMS).map((item) => toPlain(item, redactor, depth + 1) ?? null);
  }
  const result: Record<string, Plain> = {};
  for (const key of Object.keys(value).slice(0, MAX_ITEMS)) {
    const plain = safeField(value, key, redactor, depth + 1);
    if (plain !== undefined) result[key] = plain;
  }
  return result;
}

/** `StoreUnavailableError: store unavailable: Error: connect ECONNREFUSED` — an error and what caused it. */
function errorChain(error: Error): string {
  const parts: string[] = [];
  let current: unknown = error;
  for (let depth = 0; depth < MAX_DEPTH && current !== undefined && current !== null; depth++) {
    parts.push(String(current));
    current = current instanceof Error ? current.cause : undefined;
  }
  return parts.join(': ');
}

function clean(text: string, redactor: Redactor): string {
  const cleaned = redactor.text(text.slice(0, MAX_SCANNED));
  const rest = text.length - MAX_SCANNED;
  const more = cleaned.length - MAX_TEXT + Math.max(rest, 0);
  return more <= 0 ? cleaned : `${cleaned.slice(0, MAX_TEXT)}… (${more} more)`;
}
