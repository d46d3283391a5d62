// Dify's file references (spec 05 §4.1): `dify-file-ref:` and padded base64url of a JSON object that has a `record_id`.

import { isJsonObject } from '../base/json.ts';
import { decodeBase64 } from '../wiretext/base64.ts';
import { parseJsonBytes } from '../wiretext/json.ts';

const PREFIX = 'dify-file-ref:';

/** Whether a text is one. Never throws, whatever it decodes to (§12.3). */
export function isFileReference(text: string): boolean {
  if (!text.startsWith(PREFIX)) return false;
  // Python's decoder takes both alphabets and skips what belongs to neither.
  const bytes = decodeBase64(text.slice(PREFIX.length).replaceAll('-', '+').replaceAll('_', '/'));
  if (typeof bytes === 'string') return false;
  const parsed = parseJsonBytes(bytes);
  if (!parsed.ok || !isJsonObject(parsed.value)) return false;
  const { record_id: id } = parsed.value;
  return typeof id === 'string' && id !== '';
}
