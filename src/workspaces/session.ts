// Identity of a workspace: the session id, where its directory is, and the fixed scripts that make and remove it. Snapshots are
// the caller's: what comes from them passes `isSessionId` before it gets near a script or a path (spec 04 §5.17).

declare const checked: unique symbol;

/** Seven lower-case hex digits, checked. The only thing that paths and scripts of a workspace are made of. */
export type SessionId = string & { readonly [checked]: true };

/** Exit code of `makeWorkspaceScript` when the directory exists already: try another id. */
export const WORKSPACE_EXISTS = 17;

// In JavaScript `$` without the m flag is the very end: a trailing newline does not match.
const SESSION_ID = /^[0-9a-f]{7}$/;

/** Whether a text is a session id (spec 04 §2.3). */
export function isSessionId(text: string): text is SessionId {
  return SESSION_ID.test(text);
}

/** A new id: the low 20 bits of the time in seconds, and a random byte (0…255). Not unique: `makeWorkspaceScript` decides. */
export function newSessionId(nowSeconds: number, randomByte: number): SessionId {
  const seconds = Math.floor(nowSeconds) % 2 ** 20;
  const text = seconds.toString(16).padStart(5, '0') + (randomByte & 0xff).toString(16).padStart(2, '0');
  if (!isSessionId(text)) throw new RangeError('a session id needs a time after 1970');
  return text;
}

/** `~/workspace/<id>`: the `cwd` of jobs. shellctl expands the tilde, we never do. */
export function workspacePath(id: SessionId): string {
  return `~/workspace/${id}`;
}

/** Makes the directory: exit 0, WORKSPACE_EXISTS, or 1 with what the system says. Run it without `cwd` and `env`. */
export function makeWorkspaceScript(id: SessionId): string {
  return `dir="$HOME/workspace/${id}"
mkdir -p -- "$HOME/workspace" || exit 1
said=$(mkdir -- "$dir" 2>&1) && exit 0
if [ -e "$dir" ] || [ -L "$dir" ]; then exit ${WORKSPACE_EXISTS}; fi
printf '%s\\n' "$said"
exit 1
`;
}

/**
 * Removes the directory and everything in it; exit 0 also when there is none. Read-only directories (Go's module cache) are
 * opened first if need be. Looks once more after a moment: a process of a job that was just killed still ends the system call
 * that it was in, which may make the directory again. Run it without `cwd` and `env`.
 */
export function removeWorkspaceScript(id: SessionId): string {
  return `rm -rf -- "$HOME/workspace/${id}" 2>/dev/null || {
  chmod -R u+rwx -- "$HOME/workspace/${id}" 2>/dev/null
  rm -rf -- "$HOME/workspace/${id}" || exit 1
}
sleep 0.05 2>/dev/null
rm -rf -- "$HOME/workspace/${id}"
`;
}
