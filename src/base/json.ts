// The type of parsed JSON. Numbers that a double cannot hold exactly, or whose text matters (`1.0`), are `JSON.rawJSON`
// objects: JSON.stringify prints them as they were. wiretext/numbers.ts reads them.

declare global {
  // Stage-4 proposal `JSON.parse source text access`; Bun has it, TypeScript's lib does not name it yet.
  interface JSON {
    rawJSON(text: string): RawNumber;
    isRawJSON(value: unknown): value is RawNumber;
  }
}

/** A number kept as its exact text. */
export interface RawNumber {
  readonly rawJSON: string;
}

/** Any JSON value as our parser yields it. */
export type JsonValue = null | boolean | number | string | RawNumber | readonly JsonValue[] | JsonObject;

/** A JSON object. */
export interface JsonObject {
  readonly [key: string]: JsonValue;
}

/** True for a JSON object: not null, not an array, not a raw number. */
export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !JSON.isRawJSON(value);
}
