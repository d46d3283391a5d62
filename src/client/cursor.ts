// Event ids, `<ms>-<seq>`, both unsigned 64-bit decimals. Compared as text: no BigInt and no regular expression for every
// event.

const ZERO = 48;
const NINE = 57;
const DASH = 45;

/** Whether an event with this id lies at or before the cursor. False for texts that are not ids as servers write them. */
export function isBehind(id: string, cursor: string): boolean {
  if (id === cursor) return true;
  const dash = dashOf(id);
  const cursorDash = dashOf(cursor);
  if (dash === -1 || cursorDash === -1) return false;
  // Without leading zeros the longer number is the greater one, and equally long ones are ordered as their texts are.
  if (dash !== cursorDash) return dash < cursorDash;
  if (id.length === cursor.length) return id < cursor;
  const ms = id.slice(0, dash);
  const cursorMs = cursor.slice(0, dash);
  return ms === cursorMs ? id.length < cursor.length : ms < cursorMs;
}

/** Where the `-` of an id is; -1: the text is no id, or not as servers write it. */
function dashOf(text: string): number {
  const dash = endOfNumber(text, 0);
  if (dash === -1 || text.charCodeAt(dash) !== DASH) return -1;
  return endOfNumber(text, dash + 1) === text.length ? dash : -1;
}

/** Where the number that begins here ends; -1: there is none of 1 to 20 digits without leading zeros. */
function endOfNumber(text: string, from: number): number {
  let end = from;
  for (let code = text.charCodeAt(end); code >= ZERO && code <= NINE; code = text.charCodeAt(end)) end += 1;
  const digits = end - from;
  return digits > 0 && digits <= 20 && (digits === 1 || text.charCodeAt(from) !== ZERO) ? end : -1;
}
