// What a call of the Dify API is about, as a name of a fixed list: its path has names of agents, skills and files in it.

/** What the paths end with, or have in the midst. */
const AREAS: readonly (readonly [RegExp, string])[] = [
  [/\/upload\/file\/request$/, 'files/upload'],
  [/\/download\/file\/request$/, 'files/download'],
  [/\/drive\/[^/]+\/manifest$/, 'drive/manifest'],
  [/\/drive\/[^/]+\/commit$/, 'drive/commit'],
  [/\/manifest$/, 'config/manifest'],
  [/\/pull$/, 'config/pull'],
  [/\/inspect$/, 'config/inspect'],
];

/** The name; `config/change` for what is none of the reads. `path`: with its query. */
export function operationOf(path: string): string {
  const [plain = ''] = path.split('?', 1);
  return AREAS.find(([pattern]) => pattern.test(plain))?.[1] ?? 'config/change';
}
