// Python's str.strip() set (spec 02 §7.3). JavaScript's trim() differs: it strips U+FEFF and keeps U+001C–001F and U+0085.

const BLANKS =
  '\\u0009-\\u000d\\u001c-\\u001f\\u0020\\u0085\\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000';
const BLANK = new RegExp(`^[${BLANKS}]$`);

/** `text.strip()`. */
export function pyStrip(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && BLANK.test(text.charAt(start))) start++;
  while (end > start && BLANK.test(text.charAt(end - 1))) end--;
  return start === 0 && end === text.length ? text : text.slice(start, end);
}

/** True when nothing is left after `pyStrip`. */
export function isBlank(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (!BLANK.test(text.charAt(i))) return false;
  return true;
}
