// Names of sessions. A caller's key stands in a header, a query and a path, where some characters would need escapes or be taken for
// something else: only those are allowed that never do.

/** The most characters of a key. */
export const MAX_KEY_LENGTH = 256;

/** RFC 3986 `pchar` without escapes. Visible ASCII but not `" # % / < > ? [ \ ] ^ { | }` and the backquote. */
const ALLOWED = /^[A-Za-z0-9._~!$&'()*+,;=:@-]*$/;

/** What is wrong with a key; null: nothing. */
export function keyFault(text: string): string | null {
  if (text === '' || text.length > MAX_KEY_LENGTH) return `a session key has 1 to ${MAX_KEY_LENGTH} characters`;
  // A path would be shortened by them.
  if (text === '.' || text === '..') return "a session key is not '.' or '..'";
  return prefixFault(text);
}

/** The same for the beginning of a key, which may be empty. */
export function prefixFault(text: string): string | null {
  if (text.length > MAX_KEY_LENGTH) return `a session key has 1 to ${MAX_KEY_LENGTH} characters`;
  return ALLOWED.test(text) ? null : "a session key is made of letters, digits and - . _ ~ ! $ & ' ( ) * + , ; = : @";
}

/** The row under which what a run of a session left behind is cleaned up. No caller's key begins with a space. */
export function orphanKey(runId: string): string {
  return ` orphan:${runId}`;
}

/** Whether a key is a caller's. */
export function isCallersKey(key: string): boolean {
  return !key.startsWith(' ');
}
