// JSON whose integers keep their digits when it is printed again: a snapshot goes back as it came (spec 01 §5.3). Runtimes
// without `JSON.rawJSON` (Node before 22, Safari) round them.

/** Perhaps an integer beyond 2^53: cheap to look for, settled by the reviver. */
const LONG_NUMBER = /\d{16}/;

/** Whether `parseExactly` may find what JSON.parse rounds. */
export function mayRound(text: string): boolean {
  return LONG_NUMBER.test(text);
}

/** JSON.parse, with integers beyond 2^53 as `JSON.rawJSON` objects. @throws SyntaxError */
export function parseExactly(text: string): unknown {
  // Not in TypeScript's library yet.
  const { rawJSON } = JSON as { readonly rawJSON?: (text: string) => unknown };
  if (rawJSON === undefined || !mayRound(text)) return JSON.parse(text);
  return JSON.parse(text, (_key: string, value: unknown, { source }: { readonly source?: string } = {}) =>
    typeof value === 'number' && source !== undefined && !Number.isSafeInteger(value) && /^-?\d+$/.test(source)
      ? rawJSON(source)
      : value,
  );
}
