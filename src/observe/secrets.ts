// Keeps known secret values out of texts: credentials of a run in what its peers say, secrets of the process in logs. Knows
// what makes a value secret and how a value may be spelled; whose secrets, and which texts, is the caller's.

/** What stands in the place of a secret in texts that callers see. */
export const MASKED = '***';

/** Shorter values are too common in ordinary text to be replaced, unless their name says that they are secret. */
const MIN_LENGTH = 8;
const MIN_NAMED_LENGTH = 4;
/** Names of credentials whose values are secret, however short or plain. */
export const SECRET_NAME = /key|secret|token|passw|credential|auth/i;
/** A plain word such as `supported` or `tool_call` under an ordinary name is an option, not a secret. */
const PLAIN_WORD = /^[A-Za-z]*(?:[_-][a-z]+)*$/;

/** Whether a member of a credentials object must not be shown. */
export function isSecret(name: string, value: string): boolean {
  if (SECRET_NAME.test(name)) return value.length >= MIN_NAMED_LENGTH;
  return value.length >= MIN_LENGTH && !PLAIN_WORD.test(value);
}

/** The values of a credentials object that must not be shown, and the key of the client itself. For `maskSecrets`. */
export function secretValues(credentials: Readonly<Record<string, unknown>>, apiKey: string): readonly string[] {
  const found = new Set<string>();
  if (apiKey.length >= MIN_NAMED_LENGTH) found.add(apiKey);
  for (const [name, value] of Object.entries(credentials)) {
    if (typeof value === 'string' && isSecret(name, value)) found.add(value);
  }
  return [...found];
}

// Spellings are made when a text has to be masked, which most runs never have: a memo, not state.
const spellingsOf = new WeakMap<readonly string[], readonly string[]>();

/** The text with every secret replaced by `***`, whatever wrapped it on its way, also where a shortened value cuts it. */
export function maskSecrets(text: string, secrets: readonly string[]): string {
  let spellings = spellingsOf.get(secrets);
  if (spellings === undefined) {
    spellings = longestFirst(secrets.flatMap(spell));
    spellingsOf.set(secrets, spellings);
  }
  const out = replaceAny(text, spellings, MASKED);
  return out.includes(CUT) ? maskCuts(out, spellings) : out;
}

/** Replaces each spelling. They stand longest first, because a secret may contain another. */
export function replaceAny(text: string, spellings: readonly string[], mask: string): string {
  let out = text;
  for (const spelling of spellings) if (out.includes(spelling)) out = out.replaceAll(spelling, mask);
  return out;
}

/** Without repeats, in the order that `replaceAny` wants. */
export function longestFirst(spellings: Iterable<string>): readonly string[] {
  return [...new Set(spellings)].sort((a, b) => b.length - a.length);
}

/** How deep JSON may be nested in JSON: body, envelope's message, plugin's message. */
const JSON_LEVELS = 3;
const HTML: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };

/** A value as it looks in JSON, in a URL, in HTML, as Python's repr and in base64. */
export function spell(value: string): readonly string[] {
  const url = encodeURIComponent(value.toWellFormed());
  const all = [value, url, url.replaceAll('%2F', '/'), url.replaceAll('%20', '+'), ...pythonTexts(value)];
  all.push(value.replace(/[&<>"']/g, (char) => HTML[char] ?? char));
  let raw = value;
  let ascii = value;
  for (let level = 0; level < JSON_LEVELS; level++) {
    raw = JSON.stringify(raw).slice(1, -1);
    ascii = JSON.stringify(ascii)
      .slice(1, -1)
      .replace(/[^\0-\x7f]/g, unicodeEscape);
    all.push(raw, ascii);
  }
  all.push(Buffer.from(value).toString('base64'), Buffer.from(value).toString('base64url'));
  return value.length < MIN_LENGTH ? all : [...all, ...insideBase64(value)];
}

const PYTHON: Readonly<Record<string, string>> = { '\\': '\\\\', '\n': '\\n', '\r': '\\r', '\t': '\\t' };

/** The inside of Python's repr of a text that holds the value: quotes are escaped or not, as the whole text needs it. */
function pythonTexts(value: string): readonly string[] {
  const inDouble = value.replace(
    /[\\\0-\x1f\x7f-\xa0\xad]/g,
    (char) => PYTHON[char] ?? `\\x${char.charCodeAt(0).toString(16).padStart(2, '0')}`,
  );
  return [inDouble, inDouble.replaceAll("'", "\\'")];
}

function unicodeEscape(char: string): string {
  return `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

/** What base64 of any longer text that contains the value must contain: one spelling for each way it can be aligned. */
function insideBase64(value: string): readonly string[] {
  const bytes = Buffer.from(value);
  return [0, 1, 2].flatMap((offset) => {
    const whole = Buffer.concat([new Uint8Array(offset), bytes]);
    // Digits that other bytes share are left out.
    const text = whole.toString('base64').slice(Math.ceil((offset * 8) / 6), Math.floor((whole.length * 8) / 6));
    return [text, text.replaceAll('+', '-').replaceAll('/', '_')];
  });
}

/** Where pydantic shortens a value (spec 02 §12.2). */
const CUT = '...';
/** A shorter rest of a secret says nothing. */
const MIN_REST = 4;

/** A text of ours has at most one per printed issue, of which there are a hundred. */
const MAX_CUTS = 100;

/** Masks the end of a secret behind `...` and its beginning before it. */
function maskCuts(text: string, spellings: readonly string[]): string {
  const pieces = text.split(CUT);
  if (pieces.length > MAX_CUTS + 1) return text;
  for (let i = 0; i + 1 < pieces.length; i++) {
    pieces[i] = withoutEnd(pieces[i] ?? '', spellings);
    pieces[i + 1] = withoutBeginning(pieces[i + 1] ?? '', spellings);
  }
  return pieces.join(CUT);
}

function withoutEnd(text: string, spellings: readonly string[]): string {
  const last = text.slice(-MIN_REST);
  for (const secret of spellings) {
    if (!secret.includes(last)) continue;
    for (let length = Math.min(secret.length - 1, text.length); length >= MIN_REST; length--) {
      if (text.endsWith(secret.slice(0, length))) return text.slice(0, -length) + MASKED;
    }
  }
  return text;
}

function withoutBeginning(text: string, spellings: readonly string[]): string {
  const first = text.slice(0, MIN_REST);
  for (const secret of spellings) {
    if (!secret.includes(first)) continue;
    for (let length = Math.min(secret.length - 1, text.length); length >= MIN_REST; length--) {
      if (text.startsWith(secret.slice(-length))) return MASKED + text.slice(length);
    }
  }
  return text;
}
