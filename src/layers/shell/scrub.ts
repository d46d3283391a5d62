// Keeps secrets out of output that arrives in windows, wherever a window cuts (spec 04 §2.9, §5.10). Masking comes before
// truncation. How much is promised:
// - A literal secret that a job prints in one piece is never seen: where output is cut by size, nothing of it; where the job
//   paused inside it, at most its first three characters.
// - A match of a pattern of up to MAX_MATCH characters is masked wherever output is cut by size, and across pauses when it
//   holds no whitespace and the job pauses for less than about a second (the caller looks twice: `tentative`).
// Three things make it so. The raw text before a window is remembered as its context. The end of a window that may be the
// beginning of a secret is held back: it is not shown, and read again. And what a snapshot remembers is where such an
// ambiguous end begins, because a later run has no context; that run may show a few characters twice.

import type { RedactPatterns } from './patterns.ts';
import { MAX_PIECE, type SecretTexts } from './secrets.ts';
import { masked, merged, type Span } from './spans.ts';

/** Longest match of a pattern that is surely masked when a window cuts it, UTF-16 units. */
export const MAX_MATCH = 1024;
/** Raw text that is remembered before a window: what a secret across the cut may have there. */
const CONTEXT = MAX_MATCH + MAX_PIECE;
/** A shorter beginning of a literal is shown when a job pauses: a prompt that ends in `e` must not lose it. */
const MIN_HELD = 4;

/**
 * Why a window ends where it does. `final`: the job is over and read. `cut`: there is more, to be had at once. `pause`: nothing
 * more for now.
 */
export type Ending = 'final' | 'cut' | 'pause';

/** What became of a window. Bytes are UTF-8. */
export interface Scrubbed {
  /** What may be shown of the window. */
  readonly text: string;
  /** How much of the window's end is to be read again. */
  readonly heldBytes: number;
  /** It is held only because a pattern might match when more comes: if the job says no more, it may be shown. */
  readonly tentative: boolean;
  /** For the window that comes next. */
  readonly context: string;
  /** How far before the next window a reader without context must begin. */
  readonly ambiguousBytes: number;
}

/** Scrubs with what is known to be secret now. */
export interface Scrubber {
  /**
   * A window that follows `context` without a gap. `release`: show what is only tentatively secret.
   * @throws RedactionCostError
   */
  window(context: string, fresh: string, ending: Ending, release?: boolean): Scrubbed;
  /** The first `units` UTF-16 units of a window that follows `context`; the rest counts as held. @throws RedactionCostError */
  beginning(context: string, fresh: string, units: number): Scrubbed;
  /** A text of ours, such as an error's: known secrets masked, patterns not looked for. */
  ownText(text: string): string;
}

/** A scrubber over sets that may grow. */
export function createScrubber(secrets: readonly SecretTexts[], patterns: RedactPatterns): Scrubber {
  const literals = (text: string): readonly Span[] => secrets.flatMap((texts) => texts.occurrences(text));
  const spansOf = (text: string): readonly Span[] => merged([...literals(text), ...patterns.matches(text)]);

  /** Where a beginning of a literal starts, at least `least` units before the end; else the end. */
  const literalHold = (text: string, least: number): number => {
    const end = text.slice(-MAX_PIECE);
    const length = Math.max(0, ...secrets.map((texts) => texts.begunAtEnd(end)));
    return text.length - (length < least ? 0 : length);
  };

  /** Where a match could begin that goes on behind the end. */
  const patternHold = (text: string, spans: readonly Span[], ending: Ending): number => {
    if (patterns.count === 0) return text.length;
    const furthest = Math.max(0, text.length - MAX_MATCH);
    if (ending === 'cut') return furthest;
    const last = spans.at(-1);
    const touching = last !== undefined && last.end === text.length ? last.start : text.length;
    return Math.max(furthest, Math.min(touching, wordAtEnd(text)));
  };

  /** Shows a text from `from` to `to`. */
  const cut = (text: string, spans: readonly Span[], from: number, to: number): Omit<Scrubbed, 'tentative'> => {
    const shown = text.slice(0, to);
    const known = spans.filter(({ start }) => start < to);
    const begun = Math.min(literalHold(shown, 1), patternHold(shown, known, 'pause'));
    const unclear = readableFrom(shown, Math.min(startOfSpan(known, to), startOfSpan(known, begun)));
    return {
      text: masked(text, spans, from, to),
      heldBytes: Buffer.byteLength(text.slice(to)),
      context: shown.slice(-CONTEXT),
      ambiguousBytes: Buffer.byteLength(shown.slice(unclear)),
    };
  };

  return {
    window(context, fresh, ending, release = false) {
      const text = context + fresh;
      const from = context.length;
      const spans = spansOf(text);
      if (ending === 'final') {
        const all = masked(text, spans, from, text.length);
        return { text: all, heldBytes: 0, tentative: false, context: '', ambiguousBytes: 0 };
      }
      const literal = literalHold(text, ending === 'cut' ? 1 : MIN_HELD);
      const pattern = release ? text.length : patternHold(text, spans, ending);
      const to = readableFrom(text, Math.max(from, Math.min(literal, pattern)));
      // Windows of a size that we asked for are longer than what is held; with any other, going on matters more.
      const stuck = ending === 'cut' && to <= from;
      return {
        ...cut(text, spans, from, stuck ? text.length : to),
        tentative: ending === 'pause' && pattern < literal,
      };
    },
    beginning(context, fresh, units) {
      const text = context + fresh;
      return { ...cut(text, spansOf(text), context.length, context.length + units), tentative: false };
    },
    ownText: (text) => masked(text, merged(literals(text)), 0, text.length),
  };
}

/** Where the last stretch without whitespace begins. */
function wordAtEnd(text: string): number {
  let at = text.length;
  while (at > 0 && !/\s/.test(text.charAt(at - 1))) at--;
  return at;
}

/** The beginning of the span that goes across `at`, or `at`. */
function startOfSpan(spans: readonly Span[], at: number): number {
  return spans.find(({ start, end }) => start < at && at < end)?.start ?? at;
}

/**
 * The next place from `at` on whose distance to the end is known in bytes: not behind a byte that was no character (U+FFFD
 * stands for one to three of them), and not inside a surrogate pair.
 */
function readableFrom(text: string, at: number): number {
  const place = Math.max(at, text.lastIndexOf('\ufffd') + 1);
  return (text.charCodeAt(place) & 0xfc00) === 0xdc00 ? place + 1 : place;
}
