// Bodies of sessions at rest: AES-256-GCM under a key derived from the server's secret, bound to the session and its revision, so that
// nobody who can write the store can put one conversation in another's place. Without a secret they are stored as they are.

import { deriveKey } from '../stub/keys.ts';

/** The server's secrets: unpadded base64url of 32 bytes each. */
export interface SealSecrets {
  /** Null: bodies are stored in the clear. */
  readonly current: string | null;
  /** Those that still open. */
  readonly previous: readonly string[];
}

/** Whose body it is. */
export interface BodyPlace {
  readonly key: string;
  /** `Head.id`. */
  readonly id: string;
  readonly rev: number;
}

export interface BodySeal {
  seal(body: string, place: BodyPlace): Promise<string>;
  /** The body with the first secret that opens it; null: none does, or it is another's. Clear text is given back as it is. */
  open(stored: string, place: BodyPlace): Promise<string | null>;
}

const PURPOSE = 'dify-agent managed session v1';
/** In front of sealed bodies: no JSON text begins so. */
const MARK = 'v1.';
const IV_BYTES = 12;

/** Keys are derived at the first use. */
export function createBodySeal({ current, previous }: SealSecrets): BodySeal {
  const known = new Map<string, Promise<CryptoKey>>();
  const keyOf = (secret: string): Promise<CryptoKey> => {
    const found = known.get(secret) ?? deriveKey(secret, PURPOSE);
    known.set(secret, found);
    return found;
  };
  return {
    async seal(body, place) {
      if (current === null) return body;
      const iv = crypto.getRandomValues(new Uint8Array(IV_BYTES));
      const sealed = await crypto.subtle.encrypt(gcm(iv, place), await keyOf(current), new TextEncoder().encode(body));
      return `${MARK}${iv.toBase64()}.${new Uint8Array(sealed).toBase64()}`;
    },
    async open(stored, place) {
      if (!stored.startsWith(MARK)) return stored;
      const [iv, sealed] = parts(stored);
      if (iv === null || sealed === null) return null;
      for (const secret of current === null ? previous : [current, ...previous]) {
        try {
          const text = await crypto.subtle.decrypt(gcm(iv, place), await keyOf(secret), sealed);
          return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(text);
        } catch {
          // Another secret's, another place's, or forged.
        }
      }
      return null;
    },
  };
}

function gcm(iv: Uint8Array<ArrayBuffer>, { key, id, rev }: BodyPlace) {
  return { name: 'AES-GCM', iv, additionalData: new TextEncoder().encode(`${key}\n${id}\n${rev}`) };
}

type Bytes = Uint8Array<ArrayBuffer> | null;

function parts(stored: string): readonly [iv: Bytes, sealed: Bytes] {
  const dot = stored.indexOf('.', MARK.length);
  return [bytesOf(stored.slice(MARK.length, dot)), bytesOf(stored.slice(dot + 1))];
}

function bytesOf(base64: string): Bytes {
  try {
    return Uint8Array.fromBase64(base64);
  } catch {
    return null;
  }
}
