// When may the engine's own JSON.parse be trusted to lose nothing? A cheap look at the text says; a false alarm only
// costs speed. Losses: numbers whose text matters, the order of integer-like keys, depth, lone surrogates (for jiter).

import type { JsonValue } from '../base/json.ts';

// A number token stands after [ : , or a blank (or first) and before , ] } or a blank (or last).
const RISKY_NUMBER =
  /(?:^|[[:,\s])(?:-0|-?(?:\d{16,}|\d+(?:\.\d+)?[eE][+-]?\d+|\d+\.\d*0|(?=[\d.]{17})\d+\.\d+|0\.0000\d*))(?=[\s,\]}]|$)/;
const INDEX_KEY = /"(?:0|[1-9]\d{0,9})"\s*:/;
const ESCAPED_DIGIT = /\\u003\d/i;
const SURROGATE_ESCAPE = /\\u[dD][89a-fA-F]/;

export interface FastPathOptions {
  /** Deeper texts are left to the slow path. */
  readonly maxDepth: number;
  /** Leave texts with escaped surrogates to the slow path. Default false. */
  readonly noSurrogateEscapes?: boolean;
}

/** The value, or undefined when the text is malformed, deep, or needs care. */
export function parseNatively(text: string, options: FastPathOptions): JsonValue | undefined {
  if (RISKY_NUMBER.test(text) || INDEX_KEY.test(text)) return undefined;
  if (text.includes('\\u') && ESCAPED_DIGIT.test(text)) return undefined;
  if (options.noSurrogateEscapes === true && SURROGATE_ESCAPE.test(text)) return undefined;
  if (isDeeper(text, options.maxDepth)) return undefined;
  try {
    return JSON.parse(text) as JsonValue; // JSON.parse yields JSON
  } catch {
    return undefined;
  }
}

/** True when brackets outside strings nest deeper than `limit`. Exact for well-formed JSON. */
function isDeeper(text: string, limit: number): boolean {
  if (text.length <= limit) return false;
  let depth = 0;
  let inString = false;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (inString) {
      if (code === 92) i++;
      else if (code === 34) inString = false;
    } else if (code === 34) inString = true;
    else if (code === 91 || code === 123) {
      if (++depth > limit) return true;
    } else if (code === 93 || code === 125) depth--;
  }
  return false;
}
