// Lists of names as error texts print them: sorted by code point, joined with comma and space (spec 02 §2.2).

/** Orders by code point, as Python does; JavaScript's own order differs above U+FFFF. */
function byCodePoint(a: string, b: string): number {
  const as = Array.from(a, codePoint);
  const bs = Array.from(b, codePoint);
  const differing = as.findIndex((point, i) => point !== bs[i]);
  return differing === -1 ? as.length - bs.length : (as[differing] ?? 0) - (bs[differing] ?? -1);
}

function codePoint(character: string): number {
  return character.codePointAt(0) ?? 0;
}

/** Names sorted by code point. */
export function sortedNames(names: Iterable<string>): readonly string[] {
  return [...names].sort(byCodePoint);
}

/** `<a>, <b>`, sorted. */
export function nameList(names: Iterable<string>): string {
  return sortedNames(names).join(', ');
}
