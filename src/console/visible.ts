// Foreign text made fit to be shown: characters that cannot be seen, or that change how their neighbours are shown, become
// their code points. Everything else stays as it is; that it is text and not markup is Preact's doing.

/**
 * Controls but tab and line feed, soft hyphen, bidirectional marks, overrides and isolates, zero-width blanks and fillers,
 * line and paragraph separators, tags, variation selectors of the supplement, halves of surrogate pairs. Joiners stay: emoji
 * and several scripts need them.
 */
const INVISIBLE =
  /[\0-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff0-\ufffb]|\u034f|[\u{e0000}-\u{e0fff}]|\p{Surrogate}/gu;

/** The text with what is invisible in it as `⟨U+202E⟩`. A carriage return before a line feed is left out. */
export function visible(text: string): string {
  return text.replaceAll('\r\n', '\n').replace(INVISIBLE, (character) => {
    const code = character.codePointAt(0) ?? 0;
    return `⟨U+${code.toString(16).toUpperCase().padStart(4, '0')}⟩`;
  });
}

/** On one line, at most `max` characters. */
export function brief(text: string, max = 160): string {
  const line = visible(text.slice(0, max + 1).replace(/\s+/g, ' '));
  return text.length > max ? `${line.slice(0, max)}…` : line;
}
