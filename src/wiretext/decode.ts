// From the bytes of a JSON document to its text, as Python's json.loads decodes them: the encoding is told by a byte
// order mark, else by where the first NULs are (`json.detect_encoding`). Parsing is json.ts'.

/** The text without its byte order mark; null when the bytes are no text in their encoding. */
export function decodeJsonBytes(bytes: Uint8Array): string | null {
  const [a = 1, b = 1, c = 1, d = 1] = bytes;
  // Nearly always: two ASCII characters, and so UTF-8.
  if (a !== 0 && b !== 0 && a < 0xef) return decode('utf-8', bytes);
  if (a === 0 && b === 0 && c === 0xfe && d === 0xff) return decodeUtf32(bytes.subarray(4), false);
  if (a === 0xff && b === 0xfe) {
    return c === 0 && d === 0 ? decodeUtf32(bytes.subarray(4), true) : decode('utf-16le', bytes.subarray(2));
  }
  if (a === 0xfe && b === 0xff) return decode('utf-16be', bytes.subarray(2));
  if (bytes.length >= 4) {
    if (a === 0) return b === 0 ? decodeUtf32(bytes, false) : decode('utf-16be', bytes);
    if (b === 0) return c === 0 && d === 0 ? decodeUtf32(bytes, true) : decode('utf-16le', bytes);
  } else if (bytes.length === 2) {
    if (a === 0) return decode('utf-16be', bytes);
    if (b === 0) return decode('utf-16le', bytes);
  }
  const marked = a === 0xef && b === 0xbb && c === 0xbf;
  return decode('utf-8', marked ? bytes.subarray(3) : bytes);
}

function decode(encoding: 'utf-8' | 'utf-16le' | 'utf-16be', bytes: Uint8Array): string | null {
  try {
    return new TextDecoder(encoding, { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return null;
  }
}

function decodeUtf32(bytes: Uint8Array, littleEndian: boolean): string | null {
  if (bytes.length % 4 !== 0) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let text = '';
  for (let at = 0; at < bytes.length; at += 4) {
    const code = view.getUint32(at, littleEndian);
    if (code > 0x10ffff) return null;
    text += String.fromCodePoint(code);
  }
  return text;
}
