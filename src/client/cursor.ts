// Event ids, `<ms>-<seq>`, both unsigned 64-bit decimals. Compared as text: no BigInt for every event.

const CANONICAL = /^(0|[1-9]\d{0,19})-(0|[1-9]\d{0,19})$/;

/** Whether an event with this id lies at or before the cursor. False for texts that are not ids as servers write them. */
export function isBehind(id: string, cursor: string): boolean {
  if (id === cursor) return true;
  const [, ms, seq] = CANONICAL.exec(id) ?? [];
  const [, cursorMs, cursorSeq] = CANONICAL.exec(cursor) ?? [];
  if (ms === undefined || seq === undefined || cursorMs === undefined || cursorSeq === undefined) return false;
  return ms === cursorMs ? !isGreater(seq, cursorSeq) : isGreater(cursorMs, ms);
}

function isGreater(a: string, b: string): boolean {
  return a.length === b.length ? a > b : a.length > b.length;
}
