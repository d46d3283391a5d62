// What a tool said, as one text for the model (spec 03 §5.5): texts in stream order, json behind them, everything else
// as the reference's debug rendering, but for the bytes of files. Bounded (§10.9).

import type { ToolMessage } from '../../peers/plugin-daemon/tool-messages.ts';
import { jsonDumps } from '../../wiretext/json.ts';
import { pyRepr } from '../../wiretext/repr.ts';

/** Longest observation in bytes of UTF-8 (spec 03 §10.9). */
export const MAX_OBSERVATION_BYTES = 256 * 1024;

const IMAGE_TEXT =
  'image has been created and sent to user already, you do not need to create it, just tell the user to check it now.';

/** Collects the messages of one call. */
export interface Observation {
  add(message: ToolMessage): void;
  /** The text so far. May be longer than the limit by one message: see `bounded`. */
  text(): string;
}

/** An empty observation. What comes after `limit` characters is dropped. */
export function createObservation(limit: number = MAX_OBSERVATION_BYTES): Observation {
  const parts = createPieces(limit);
  const json = createPieces(limit);
  return {
    add(message) {
      if (message.type === 'json') json.add(() => jsonDumps(message.value));
      else parts.add(() => rendered(message));
    },
    text() {
      if (json.pieces.length === 0) return parts.pieces.join('');
      // A plugin often says the same as text and as json.
      const said = new Set(parts.pieces);
      return [...parts.pieces, ...json.pieces.filter((piece) => !said.has(piece))].join('');
    },
  };
}

/** Keeps whole pieces until the limit is passed; later ones are not even made. */
function createPieces(limit: number): { readonly pieces: readonly string[]; add(make: () => string): void } {
  const pieces: string[] = [];
  let length = 0;
  return {
    pieces,
    add(make) {
      if (length > limit) return;
      const piece = make();
      pieces.push(piece);
      length += piece.length;
    },
  };
}

function rendered(message: Exclude<ToolMessage, { readonly type: 'json' }>): string {
  switch (message.type) {
    case 'text':
      return message.text;
    case 'link':
      return `result link: ${message.text}. please tell user to check it.`;
    case 'image':
      return IMAGE_TEXT;
    case 'binary_link':
      return `text=${pyRepr(message.text)}`;
    case 'file':
      return `file_marker=${pyRepr(message.marker)}`;
    case 'log':
      return message.fields.map(([name, value]) => `${name}=${pyRepr(value)}`).join(' ');
    case 'blob':
      return `[binary file of ${message.bytes} bytes${message.mimeType === null ? '' : `, ${message.mimeType}`}]`;
    case 'none':
      return 'None';
  }
}

/** The text, cut at a character's boundary when it has more bytes than the limit, with a marker that says so. */
export function bounded(text: string, limit: number = MAX_OBSERVATION_BYTES): string {
  if (text.length * 3 <= limit || Buffer.byteLength(text) <= limit) return text;
  const bytes = Buffer.from(text);
  let end = limit;
  while (end > 0 && ((bytes[end] ?? 0) & 0xc0) === 0x80) end--;
  return `${bytes.toString('utf8', 0, end)}\n[truncated: the tool result is longer than ${limit} bytes]`;
}
