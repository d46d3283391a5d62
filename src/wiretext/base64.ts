// `base64.b64decode(text)`: what is not of the alphabet is skipped, padding must be whole, and nothing is read behind it.

const CANONICAL = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;
const ALPHABET = /[A-Za-z0-9+/]/;

/** The bytes, or the text of Python's error. */
export function decodeBase64(text: string): Buffer | string {
  if (CANONICAL.test(text)) return Buffer.from(text, 'base64');
  if (/[^\0-\x7f]/.test(text)) return 'string argument should contain only ASCII characters';
  let digits = '';
  let pads = 0;
  for (const char of text) {
    if (char === '=') {
      pads += 1;
      // The padding of a group that has two or three digits ends everything.
      if (digits.length % 4 >= 2 && (digits.length % 4) + pads >= 4) return Buffer.from(digits, 'base64');
    } else if (ALPHABET.test(char)) {
      digits += char;
      pads = 0;
    }
  }
  if (digits.length % 4 === 0) return Buffer.from(digits, 'base64');
  if (digits.length % 4 !== 1) return 'Incorrect padding';
  return `Invalid base64-encoded string: number of data characters (${digits.length}) cannot be 1 more than a multiple of 4`;
}
