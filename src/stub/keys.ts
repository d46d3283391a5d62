// From the server's secrets to the keys of what it seals (spec 05 §2.1): HKDF-SHA-256, once per secret and purpose.

const BYTES = 32;

/** The AES-256-GCM key of one secret for one purpose. It cannot be read back. */
export async function deriveKey(secret: string, purpose: string): Promise<CryptoKey> {
  const root = await crypto.subtle.importKey('raw', Buffer.from(secret, 'base64url'), 'HKDF', false, ['deriveKey']);
  const info = new TextEncoder().encode(purpose);
  const hkdf = { name: 'HKDF', hash: 'SHA-256', salt: new Uint8Array(BYTES), info };
  return crypto.subtle.deriveKey(hkdf, root, { name: 'AES-GCM', length: 8 * BYTES }, false, ['encrypt', 'decrypt']);
}
