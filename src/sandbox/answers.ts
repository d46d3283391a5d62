// Answers from elsewhere: read as long as they are not unreasonable, and parsed without a word about what is wrong.

import type { JsonValue } from '../base/json.ts';
import { SandboxError } from './errors.ts';

/** JSON, or undefined. */
export function parseJson(text: string): JsonValue | undefined {
  try {
    // What JSON.parse answers is a JSON value.
    return JSON.parse(text) as JsonValue;
  } catch {
    return undefined;
  }
}

/** The body as text. Rejects with SandboxError `answer_too_large`, or with what `fetch` rejects with. */
export async function readText(response: Response, maxBytes: number): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of response.body ?? []) {
    size += chunk.byteLength;
    if (size > maxBytes) throw new SandboxError('answer_too_large', `the answer is larger than ${maxBytes} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}
