// Texts that only this server's secret opens: compact JWE, `dir` with A256GCM, by jose, which is loaded at the first use.
// Acceptance is stricter than the library's: one form, one header, nothing beside it (spec 05 §12.4).

import { deriveKey } from './keys.ts';

/** Longer texts are not looked at (spec 05 §12.1). */
export const MAX_SEALED_CHARS = 8_192;

/** Seals and opens. */
export interface Sealer {
  seal(text: string): Promise<string>;
  /** The text with the first key that opens it; null: none does, or it is no sealed text. */
  open(sealed: string): Promise<string | null>;
}

/** The server's secrets: unpadded base64url of 32 bytes each. */
export interface Secrets {
  readonly current: string;
  /** Those that still open. */
  readonly previous: readonly string[];
}

interface Jose {
  readonly CompactEncrypt: typeof import('jose/jwe/compact/encrypt').CompactEncrypt;
  readonly compactDecrypt: typeof import('jose/jwe/compact/decrypt').compactDecrypt;
  /** The first seals; all open. */
  readonly keys: readonly [CryptoKey, ...CryptoKey[]];
}

const HEADER = { alg: 'dir', enc: 'A256GCM' } as const;
const OPEN_OPTIONS = { keyManagementAlgorithms: [HEADER.alg], contentEncryptionAlgorithms: [HEADER.enc] };

/** A sealer for one purpose: what one purpose has sealed no other opens. */
export function createSealer(secrets: Secrets, purpose: string): Sealer {
  let loading: Promise<Jose> | null = null;
  const load = (): Promise<Jose> => {
    loading ??= loadJose(secrets, purpose).catch((error: unknown) => {
      loading = null; // the next caller tries again
      throw error;
    });
    return loading;
  };
  return {
    async seal(text) {
      const { CompactEncrypt, keys } = await load();
      return new CompactEncrypt(new TextEncoder().encode(text)).setProtectedHeader(HEADER).encrypt(keys[0]);
    },
    async open(sealed) {
      if (!isWellFormed(sealed)) return null;
      const { compactDecrypt, keys } = await load();
      for (const key of keys) {
        try {
          const { plaintext } = await compactDecrypt(sealed, key, OPEN_OPTIONS);
          return new TextDecoder('utf-8', { fatal: true }).decode(plaintext);
        } catch {
          // Another key's, or forged.
        }
      }
      return null;
    },
  };
}

async function loadJose(secrets: Secrets, purpose: string): Promise<Jose> {
  const [{ CompactEncrypt }, { compactDecrypt }, first, ...others] = await Promise.all([
    import('jose/jwe/compact/encrypt'),
    import('jose/jwe/compact/decrypt'),
    deriveKey(secrets.current, purpose),
    ...secrets.previous.map((secret) => deriveKey(secret, purpose)),
  ]);
  return { CompactEncrypt, compactDecrypt, keys: [first, ...others] };
}

/** header, no encrypted key, IV of 12 bytes, ciphertext, tag of 16 bytes; base64url without padding. */
const COMPACT = /^([A-Za-z0-9_-]+)\.\.[A-Za-z0-9_-]{16}\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]{22})$/;

/** The one form that is accepted. Costs little: it stands before every decryption. */
function isWellFormed(sealed: string): boolean {
  if (sealed.length > MAX_SEALED_CHARS) return false;
  const [, header = '', ciphertext = '', tag = ''] = COMPACT.exec(sealed) ?? [];
  return [header, ciphertext, tag].every(isCanonical) && isHeader(Buffer.from(header, 'base64url').toString());
}

/** What our own encoding of the same bytes looks like: leftover bits are zero. Empty is not. */
function isCanonical(part: string): boolean {
  return part !== '' && Buffer.from(part, 'base64url').toString('base64url') === part;
}

/** Exactly `alg` and `enc`, in any spelling of JSON. */
function isHeader(text: string): boolean {
  try {
    const header: unknown = JSON.parse(text);
    if (typeof header !== 'object' || header === null || Object.keys(header).length !== 2) return false;
    return 'alg' in header && header.alg === HEADER.alg && 'enc' in header && header.enc === HEADER.enc;
  } catch {
    return false;
  }
}
