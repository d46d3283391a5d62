// Which rows of a long list are in sight: a list of rows of one height, of which only those are built. Pure.

/** What to build, and the height above it. */
export interface Window {
  /** Index of the first row to build. */
  readonly first: number;
  /** Behind the last one. */
  readonly last: number;
  /** Of all rows, px. */
  readonly height: number;
  /** Above the first one, px. */
  readonly top: number;
}

/** @param beyond rows that are built above and below what is in sight */
export function windowOf(count: number, rowHeight: number, scrollTop: number, viewHeight: number, beyond = 8): Window {
  const seen = Math.min(Math.max(0, Math.floor(scrollTop / rowHeight)), Math.max(0, count - 1));
  const first = Math.max(0, seen - beyond);
  const last = Math.min(count, seen + Math.ceil(viewHeight / rowHeight) + 1 + beyond);
  return { first, last: Math.max(first, last), height: count * rowHeight, top: first * rowHeight };
}

/** Where to scroll so that a row is in sight; null: it is. */
export function scrollTo(index: number, rowHeight: number, scrollTop: number, viewHeight: number): number | null {
  const top = index * rowHeight;
  if (top < scrollTop) return top;
  return top + rowHeight > scrollTop + viewHeight ? top + rowHeight - viewHeight : null;
}
