// Python's order of strings.

/** Orders by code point; JavaScript's own order differs above U+FFFF. */
export function byCodePoint(a: string, b: string): number {
  return a === b ? 0 : Buffer.compare(Buffer.from(a), Buffer.from(b)); // UTF-8 sorts by code point
}

/** Sorted by code point. */
export function sortedByCodePoint(texts: Iterable<string>): readonly string[] {
  return [...texts].sort(byCodePoint);
}
