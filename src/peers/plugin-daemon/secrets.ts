// Keeps credentials out of texts that come from upstream and go to callers (spec 03 §10.6). Knows one call's
// credentials; the process-wide redactor of logs is observe/'s.

/** What stands in the place of a secret. */
const MASK = '***';

/** Shorter values are too common in ordinary text to be replaced, unless their name says that they are secret. */
const MIN_LENGTH = 8;
const MIN_NAMED_LENGTH = 4;
/** Names of credentials whose values are secret, however short or plain. */
export const SECRET_NAME = /key|secret|token|passw|credential|auth/i;
/** A plain word such as `supported` or `tool_call` under an ordinary name is an option, not a secret. */
const PLAIN_WORD = /^[A-Za-z]*(?:[_-][a-z]+)*$/;

/** The values of a credentials object that must not be shown, longest first. */
export function secretValues(credentials: Readonly<Record<string, unknown>>, apiKey: string): readonly string[] {
  const found = new Set<string>();
  if (apiKey.length >= MIN_NAMED_LENGTH) found.add(apiKey);
  for (const [name, value] of Object.entries(credentials)) {
    if (typeof value !== 'string') continue;
    const named = SECRET_NAME.test(name);
    if (value.length < (named ? MIN_NAMED_LENGTH : MIN_LENGTH)) continue;
    if (named || !PLAIN_WORD.test(value)) found.add(value);
  }
  for (const value of [...found]) {
    const escaped = JSON.stringify(value).slice(1, -1);
    found.add(escaped);
    found.add(encodeURIComponent(value.toWellFormed()));
  }
  return [...found].sort((a, b) => b.length - a.length);
}

/** The text with every secret replaced by `***`. */
export function maskSecrets(text: string, secrets: readonly string[]): string {
  let out = text;
  for (const secret of secrets) if (out.includes(secret)) out = out.replaceAll(secret, MASK);
  return out;
}
