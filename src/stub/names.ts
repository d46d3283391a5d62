// Names that become part of a path of the Dify API, or of a sandbox's file system: what is safe, and how it is written
// (spec 05 §12.10). The reference puts them in as they are.

/** Also keeps the path short. Characters. */
const MAX_SEGMENT = 255;

/** True for one path segment that means itself: no `/`, `\`, control characters (of both kinds), `.`, `..`. */
export function isSafeSegment(name: string): boolean {
  if (name === '' || name === '.' || name === '..' || name.length > MAX_SEGMENT) return false;
  return !/[/\\\u0000-\u001f\u007f-\u009f]/.test(name) && name.isWellFormed();
}

/** What an agent's configuration consists of. */
export type AssetKind = 'file' | 'skill';

const SKILL_NAME = /^[a-z0-9][a-z0-9_-]{0,63}$/;

/** What is wrong with the name of a config asset, in the reference's words; null: nothing (spec 05 §4.1). */
export function assetNameProblem(kind: AssetKind, name: string): string | null {
  if (!isSafeSegment(name)) return 'config asset name must be a safe path segment';
  return kind === 'skill' && !SKILL_NAME.test(name) ? 'config skill name is invalid' : null;
}

/** A path of the Dify API: each segment percent-encoded, also what `encodeURIComponent` leaves. */
export function innerPath(...segments: readonly string[]): string {
  return `/${segments.map(encodeURIComponent).join('/')}`;
}
