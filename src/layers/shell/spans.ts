// Stretches of a text that are masked: merging them, and printing the text without them.

/** UTF-16 indexes, `end` exclusive. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/** What stands in the place of a secret. */
const MASK = '***';

/** Sorted, and overlapping or touching ones as one. */
export function merged(spans: readonly Span[]): readonly Span[] {
  const out: Span[] = [];
  for (const span of spans.toSorted((a, b) => a.start - b.start)) {
    const last = out.at(-1);
    if (last === undefined || span.start > last.end) out.push(span);
    else if (span.end > last.end) out[out.length - 1] = { start: last.start, end: span.end };
  }
  return out;
}

/** The text from `from` to `to`; what of a merged span lies between them is one mask. */
export function masked(text: string, spans: readonly Span[], from: number, to: number): string {
  let out = '';
  let at = from;
  for (const { start, end } of spans) {
    if (end <= at) continue;
    if (start >= to) break;
    out += text.slice(at, Math.max(at, start)) + MASK;
    at = Math.min(end, to);
  }
  return out + text.slice(at, Math.max(at, to));
}
