// Keeps secrets out of logs and error texts: values registered at start (API keys, tokens, URL passwords) and
// texts that look like credentials. It never decides what is logged, only what of it may be seen.

import { longestFirst, replaceAny, spell } from './secrets.ts';

/** What stands in the place of a secret. */
export const REDACTED = '[redacted]';

/** What is printed instead of a configured secret: says that there is one, and nothing of its length. */
export const MASK = '********';

/** Replaces secrets in texts. Pure apart from `register`. */
export interface Redactor {
  /** Adds a secret value, however it may be spelled (secrets.ts). Values shorter than 4 characters are ignored. */
  register(secret: string): void;
  /** The text with every registered secret and everything that looks like a credential replaced. */
  text(text: string): string;
}

// Everything quantified is bounded or cannot overlap with what follows it, so that no text makes these slow.
// The third member is what a text must have for the first to find anything: most texts have it not, and cost less.
const PATTERNS: readonly (readonly [find: RegExp, replacement: string, needs?: RegExp])[] = [
  // Authorization: Bearer abc / Basic abc
  // (a digit, a later capital or 20 characters tell a credential from the word after "Bearer" in a sentence)
  [
    /\b([Bb]earer|[Bb]asic|BEARER|BASIC)([ \t]+)(?=[A-Za-z._~-][A-Za-z._~-]{0,40}?[0-9A-Z=+/]|[0-9]|[A-Za-z._~-]{20})[A-Za-z0-9._~+/=-]{8,}/g,
    `$1$2${REDACTED}`,
  ],
  // sk-…, pk-…, rk-… keys of model vendors; xox?- of Slack; gh?_ of GitHub; AKIA of AWS
  [/\b(?:sk|pk|rk)[-_][A-Za-z0-9_-]{8,}/g, REDACTED],
  [/\b(?:xox[a-z]-[A-Za-z0-9-]{8,}|gh[a-z]_[A-Za-z0-9]{16,}|AKIA[A-Z0-9]{12,})/g, REDACTED],
  // five- or three-part compact JOSE
  [/\beyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*){1,4}/g, REDACTED],
  // user info of a URL: the password, or a lone user name that may be a token
  [/([a-z][a-z0-9+.-]{1,20}:\/\/)([^\s/?#@"'<>:]{0,256}):[^\s/?#@"'<>]{0,1024}@/gi, `$1$2:${REDACTED}@`, /:\/\//],
  // api_key=…, "apiKey": "…", x-api-key: …, access_token=…, password=…
  [
    /((?:api[-_]?key|access[-_]?key|secret[-_]?key|auth[-_]?token|access[-_]?token|refresh[-_]?token|client[-_]?secret|password|passwd|authorization)["']?[ \t]{0,4}[=:][ \t]{0,4}["']?)(?!\[redacted\]|(?:bearer|basic)[ \t])[^\s"'&,;<>}\])]{1,4096}/gi,
    `$1${REDACTED}`,
    /[=:]/,
  ],
];

/** Clean texts that are not looked at again, and their length. */
const MAX_REMEMBERED = 512;
const MAX_REMEMBERED_CHARS = 128;

/** A redactor that knows these secrets. */
export function createRedactor(secrets: Iterable<string> = []): Redactor {
  let spellings: readonly string[] = [];
  /** Texts that have nothing to hide: messages, outcomes and tenants come again and again. No secret is among them. */
  const clean = new Set<string>();
  const remember = (text: string): void => {
    if (clean.size >= MAX_REMEMBERED) clean.clear();
    clean.add(text);
  };
  const redactor: Redactor = {
    register(secret) {
      if (secret.length >= 4) spellings = longestFirst([...spellings, ...spell(secret)]);
      clean.clear();
    },
    text(text) {
      if (clean.has(text)) return text;
      let out = replaceAny(text, spellings, REDACTED);
      for (const [find, replacement, needs] of PATTERNS) {
        if (needs === undefined || needs.test(out)) out = out.replace(find, replacement);
      }
      if (out === text && text.length <= MAX_REMEMBERED_CHARS) remember(text);
      return out;
    },
  };
  for (const secret of secrets) redactor.register(secret);
  return redactor;
}

/**
 * A URL that may be printed: user info replaced (`redis://:pw@h/0` → `redis://********@h/0`), everything else as written.
 * Works on text, so that a malformed URL is masked as well.
 */
export function maskUrl(url: string): string {
  const start = url.indexOf('://');
  if (start < 0) return url;
  const rest = url.slice(start + 3);
  const pathAt = rest.search(/[/?#]/);
  // A raw `/`, `?` or `#` in a password makes the authority end early; the last `@` then still bounds what may leak.
  const authorityEnd = pathAt < 0 ? rest.length : pathAt;
  const at = rest.slice(0, authorityEnd).lastIndexOf('@');
  const cut = at >= 0 ? at : rest.lastIndexOf('@');
  return cut < 0 ? url : `${url.slice(0, start + 3)}${MASK}${rest.slice(cut)}`;
}
