import { describe, expect, test } from 'bun:test';
import { compileRedactPatterns, RedactionCostError } from '../../../src/layers/shell/patterns.ts';
import { createScrubber, type Ending, type Scrubber } from '../../../src/layers/shell/scrub.ts';
import { createSecretTexts, isSecret, secretsIn } from '../../../src/layers/shell/secrets.ts';
import { type Random, seeded } from '../../fuzz/random.ts';

const patterns = (...sources: string[]) => compileRedactPatterns({ name: 'patterns', patterns: sources });

async function scrubber(secrets: readonly string[], ...sources: string[]): Promise<Scrubber> {
  const texts = createSecretTexts();
  for (const secret of secrets) texts.add(secret, 'plain');
  return createScrubber([texts], await patterns(...sources));
}

/** What a reader has of a log. */
interface Reader {
  offset: number;
  context: string;
  ambiguousBytes: number;
  shown: string;
}

const begin = (): Reader => ({ offset: 0, context: '', ambiguousBytes: 0, shown: '' });

/** Reads the bytes from the reader's offset to `end` as one window. */
function read(reader: Reader, using: Scrubber, log: Buffer, end: number, ending: Ending): void {
  let to = end;
  while (to < log.length && ((log[to] ?? 0) & 0xc0) === 0x80) to--;
  const window = using.window(reader.context, log.toString('utf8', reader.offset, to), ending);
  reader.shown += window.text;
  reader.offset = to - window.heldBytes;
  reader.context = window.context;
  reader.ambiguousBytes = window.ambiguousBytes;
}

/** Another run reads on: it knows the offset of the snapshot and no context. */
function resume(reader: Reader): void {
  reader.offset -= reader.ambiguousBytes;
  reader.shown += '\0'; // what it sees is another text
  reader.context = '';
  reader.ambiguousBytes = 0;
}

/** Noise in lower case with secrets in upper case: whatever is upper case in what is shown is a piece of a secret. */
function logOf(random: Random, secrets: readonly string[], pieces: number): string {
  const words = ['a', 'be', 'the ', '\n', ' é', '😀', 'ünder', '漢字 ', 'x'.repeat(40), '. ', 'secret '];
  return Array.from({ length: pieces }, () => (random.chance(0.15) ? random.pick(secrets) : random.pick(words))).join(
    '',
  );
}

function secretOf(random: Random): string {
  const alphabet = random.chance(0.3) ? 'AB' : 'ABCDEFGHJKLMNPQRSTUVWXYZ0123456789';
  const length = random.pick([4, 5, 8, 20, 100, 300, 900]);
  return Array.from({ length }, () => alphabet[random.int(alphabet.length)]).join('');
}

/** Four characters in a row of any of the secrets. */
function leak(shown: string, secrets: readonly string[]): string | null {
  for (const secret of secrets) {
    for (let i = 0; i + 4 <= secret.length; i++) {
      if (shown.includes(secret.slice(i, i + 4))) return secret.slice(i, i + 4);
    }
  }
  return null;
}

const withoutSecrets = (text: string) => text.replace(/[*A-Z0-9\0]/g, '');

describe('a literal secret', () => {
  test('is not seen at all where output is cut by size, and nothing else is lost', async () => {
    for (let seed = 1; seed <= 150; seed++) {
      const random = seeded(seed);
      const secrets = Array.from({ length: 1 + random.int(4) }, () => secretOf(random));
      const using = await scrubber(secrets);
      const log = Buffer.from(logOf(random, secrets, 400));
      const reader = begin();
      for (let steps = 0; reader.offset < log.length; steps++) {
        expect(steps).toBeLessThan(5000);
        const end = Math.min(log.length, reader.offset + 1100 + random.int(900));
        read(reader, using, log, end, end === log.length ? 'final' : 'cut');
        if (random.chance(0.2)) resume(reader);
        if (end === log.length) break;
      }
      expect({ seed, seen: /[A-Z0-9]/.exec(reader.shown)?.[0] }).toEqual({ seed, seen: undefined });
      expect(reader.shown.replace(/[*\0]/g, '')).toBe(withoutSecrets(log.toString()));
    }
  });

  test('shows at most its first three characters where the job pauses, in however many pieces it comes', async () => {
    for (let seed = 1; seed <= 300; seed++) {
      const random = seeded(seed);
      const secrets = Array.from({ length: 1 + random.int(3) }, () => secretOf(random));
      const using = await scrubber(secrets);
      const log = Buffer.from(logOf(random, secrets, 120));
      const reader = begin();
      // What is there to be read; it grows by pieces that may be a single byte.
      let size = 0;
      while (size < log.length) {
        size = Math.min(log.length, size + 1 + random.int(random.pick([2, 10, 400])));
        read(reader, using, log, size, size === log.length ? 'final' : 'pause');
        if (random.chance(0.1) && size < log.length) resume(reader);
      }
      expect({ seed, leak: leak(reader.shown, secrets) }).toEqual({ seed, leak: null });
      expect({ seed, rest: withoutSecrets(reader.shown) }).toEqual({ seed, rest: withoutSecrets(log.toString()) });
    }
  });

  test('is masked as JSON, in URLs, in base64 and line by line', async () => {
    const texts = createSecretTexts();
    const secret = 'p"w/ö &=#\nsecond-line';
    texts.add(secret, 'encoded');
    const using = createScrubber([texts], await patterns());
    for (const spelled of [
      secret,
      JSON.stringify(secret),
      encodeURIComponent(secret),
      Buffer.from(`user:${secret}`).toString('base64'),
      Buffer.from(`us:${secret}!`).toString('base64url'),
      'only second-line here',
    ]) {
      const shown = using.window('', `<${spelled}>`, 'final').text;
      expect(shown).toContain('***');
      expect(shown).not.toContain('second');
      expect(shown).not.toContain(Buffer.from(secret).toString('base64').slice(4, 12));
    }
  });

  test('held back at the end of a pause is shown when it turns out to be something else', async () => {
    const using = await scrubber(['eyJhbGciOiJkaXIi']);
    const held = using.window('', 'Your name', 'pause');
    expect(held).toMatchObject({ text: 'Your name', heldBytes: 0, ambiguousBytes: 1, tentative: false });
    const begun = using.window('', 'token: eyJh', 'pause');
    expect(begun).toMatchObject({ text: 'token: ', heldBytes: 4 });
    expect(using.window('token: ', 'eyJhello', 'pause').text).toBe('eyJhello');
    expect(using.window('token: ', 'eyJhbGciOiJkaXIi.', 'pause').text).toBe('***.');
  });

  test('that ends a finished output half is shown: that is all the job printed', async () => {
    const using = await scrubber(['ABCDEFGH']);
    expect(using.window('', 'x ABCD', 'final').text).toBe('x ABCD');
  });
});

describe('patterns', () => {
  const KEY = 'K-[A-Z0-9]{8,}';

  test('mask matches of up to a thousand characters wherever output is cut by size', async () => {
    const using = await scrubber([], KEY, 'BEGIN( [A-Z]+)* END');
    for (let seed = 1; seed <= 60; seed++) {
      const random = seeded(seed);
      const keys = [8, 40, 900].map((length) => `K-${'Q'.repeat(length)}`);
      const log = Buffer.from(logOf(random, [...keys.map((key) => ` ${key} `), ' BEGIN ONE TWO END '], 500));
      const reader = begin();
      while (reader.offset < log.length) {
        const end = Math.min(log.length, reader.offset + 8000 + random.int(192));
        read(reader, using, log, end, end === log.length ? 'final' : 'cut');
        if (random.chance(0.3)) resume(reader);
        if (end === log.length) break;
      }
      expect({ seed, seen: /[A-Z]/.exec(reader.shown)?.[0] }).toEqual({ seed, seen: undefined });
    }
  });

  test('hold the last word back while a job pauses, and show it when the caller is sure', async () => {
    const using = await scrubber([], KEY);
    const held = using.window('', 'key: K-ABCD', 'pause');
    expect(held).toMatchObject({ text: 'key: ', heldBytes: 6, tentative: true });
    expect(using.window(held.context, 'K-ABCDEFGH\n', 'pause').text).toBe('***\n');
    const released = using.window('', 'Password:', 'pause', true);
    expect(released).toMatchObject({ text: 'Password:', heldBytes: 0, ambiguousBytes: 9 });
    expect(using.window('', 'Continue? [y/N] ', 'pause')).toMatchObject({ tentative: false, heldBytes: 0 });
  });

  test('a match that goes on behind a pause stays masked', async () => {
    const using = await scrubber([], KEY);
    const first = using.window('', 'K-ABCDEFGHIJ', 'pause', true);
    expect(first.text).toBe('***');
    expect(using.window(first.context, 'KLM\n', 'pause').text).toBe('***\n');
  });

  test('never mask nothing, and every engine fault is told by place alone', async () => {
    expect((await scrubber([], 'x*')).window('', 'abxxc', 'final').text).toBe('ab***c');
    for (const [source, why] of [
      ['sk-(secret', 'is not a regular expression that can be matched in linear time (RE2 syntax)'],
      ['(a)\\1', 'is not a regular expression that can be matched in linear time (RE2 syntax)'],
      ['[a-z]{900}[a-z]{900}', 'is too large'],
      // Not even compiled: that alone would take long.
      ['a{1000}'.repeat(140), 'is too large: more than 1000 instructions'],
    ] as const) {
      const refused = compileRedactPatterns({ name: 'list', patterns: ['fine', source] });
      expect(refused).rejects.toMatchObject({
        code: 'redact_pattern',
        message: expect.stringContaining(`list[1] ${why}`),
      });
      expect(refused).rejects.not.toMatchObject({ message: expect.stringContaining('secret') });
    }
    const many = Array.from({ length: 60 }, () => '[a-z]{100}q');
    expect(compileRedactPatterns({ name: 'list', patterns: many })).rejects.toThrow('is one too many');
  });

  test('that take too long withhold the output', async () => {
    const using = await scrubber([], 'x*y|x');
    expect(() => using.window('', 'x'.repeat(16_000), 'final')).toThrow(RedactionCostError);
  });

  test('that match nothing, and take long for it, do so for one of them and no longer', async () => {
    const many = await compileRedactPatterns({ name: 'list', patterns: Array(6).fill('(?:.*[ab]){200}[yz]') });
    expect(() => many.matches('ab'.repeat(8_500))).toThrow(RedactionCostError);
  });
});

describe('what is secret by its name', () => {
  test.each([
    ['API_KEY', 'abc123', true],
    ['DB_PASSWORD', 'correcthorse', true],
    ['GH_TOKEN', 'ghp', false],
    ['AUTH_ENABLED', 'true', false],
    ['TOKEN_PORT', '8080', false],
    ['REGION', 'eu-central-1', false],
  ])('%s=%s: %p', (name, value, secret) => {
    expect(isSecret(name, value)).toBe(secret);
  });

  test('is found in nested values', () => {
    expect(secretsIn({ a: { api_key: 'abc-123', n: [{ token: ['t-1234', 5] }] }, url: 'x-y-z' })).toEqual([
      'abc-123',
      't-1234',
    ]);
  });
});

test('the oldest texts make room: their number is bounded', () => {
  const texts = createSecretTexts();
  for (let i = 0; i < 10_000; i++) texts.add(`token-${i}-${'x'.repeat(20)}`, 'plain');
  expect(texts.size).toBe(4096);
  expect(texts.occurrences(`token-9999-${'x'.repeat(20)}`)).toHaveLength(1);
});
