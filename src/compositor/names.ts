// Lists of names as error texts print them: sorted by code point, joined with comma and space (spec 02 §2.2).

/**
 * Orders by code point, as Python does; JavaScript's own order differs above U+FFFF. Looks at the first difference only:
 * a caller may send half a million names.
 */
function byCodePoint(a: string, b: string): number {
  const shorter = Math.min(a.length, b.length);
  let i = 0;
  while (i < shorter && a.charCodeAt(i) === b.charCodeAt(i)) i += 1;
  // The difference may be in the second half of a surrogate pair: the pairs differ then.
  return (i === 0 ? 0 : pointAt(a, i - 1) - pointAt(b, i - 1)) || pointAt(a, i) - pointAt(b, i);
}

/** -1 behind the end: what has ended comes first. */
function pointAt(text: string, index: number): number {
  return text.codePointAt(index) ?? -1;
}

/** Names sorted by code point. */
export function sortedNames(names: Iterable<string>): readonly string[] {
  return [...names].sort(byCodePoint);
}

/** `<a>, <b>`, sorted. */
export function nameList(names: Iterable<string>): string {
  return sortedNames(names).join(', ');
}
