// The name that content without a name gets (spec 03 §3.2, 06 §5 item 3).

/** The first six hex digits of the SHA-1 of the bytes, or of a URL's UTF-8 text. */
export function identifierOf(content: Uint8Array | string): string {
  return new Bun.CryptoHasher('sha1').update(content).digest('hex').slice(0, 6);
}
