// Look-ahead in the one place where linear time allows it: right behind the `^` that a pattern begins with, as in
// `^(?!\s*$).+` (not blank) or `^(?=.*\d)(?=.*[a-z]).{8,}$` (a password). All of it looks at the same place, the start, so
// each condition is a pattern of its own.

/** A pattern that is met when all parts are: each is to match, or not to. */
export type Conjunction = readonly { readonly source: string; readonly matches: boolean }[];

/** The parts of a pattern with leading look-ahead; null for a pattern without, or of another shape. */
export function splitLookahead(source: string): Conjunction | null {
  const parts: { source: string; matches: boolean }[] = [];
  let at = 1;
  while (source.startsWith('(?=', at) || source.startsWith('(?!', at)) {
    const end = scan(source, at).end;
    if (end === null) return null;
    parts.push({ source: `^(?:${source.slice(at + 3, end)})`, matches: source[at + 2] === '=' });
    at = end + 1;
  }
  if (!source.startsWith('^') || parts.length === 0) return null;
  const rest = source.slice(at);
  // An alternative, or a repetition of the last condition, is not for the start alone.
  if (/^[*+?{]/.test(rest) || scan(`(${rest})`, 0).alternatives) return null;
  return [...parts, { source: `^(?:${rest})`, matches: true }];
}

/** Where the group that begins at `start` ends, and whether it has alternatives of its own. */
function scan(source: string, start: number): { readonly end: number | null; readonly alternatives: boolean } {
  let depth = 0;
  let inClass = false;
  let alternatives = false;
  for (let i = start; i < source.length; i++) {
    const char = source[i];
    if (char === '\\') i++;
    else if (inClass) inClass = char !== ']';
    else if (char === '[') inClass = true;
    else if (char === '(') depth++;
    else if (char === '|' && depth === 1) alternatives = true;
    else if (char === ')' && --depth === 0) return { end: i, alternatives };
  }
  return { end: null, alternatives };
}
