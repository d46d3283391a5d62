import { describe, expect, test } from 'bun:test';
import { jsonDumps, keysOf, parseJson, parseJsonBytes, stringifyJson } from '../../src/wiretext/json.ts';
import { isJsonNumber, numberRepr } from '../../src/wiretext/numbers.ts';
import { pyRepr } from '../../src/wiretext/repr.ts';
import { readVectors } from '../support/vectors.ts';

interface Vector {
  readonly text: string;
  readonly python: {
    readonly value?: string;
    readonly repr?: string;
    readonly message?: string;
    readonly offset?: number;
  };
}

/** Python's value in a form that shows types and order. */
function typed(value: unknown): string {
  if (typeof value === 'string') {
    return JSON.stringify(value).replace(
      /[\u0080-\uffff]/g,
      (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`,
    );
  }
  if (isJsonNumber(value)) return numberRepr(value);
  if (Array.isArray(value)) return `[${value.map(typed).join(',')}]`;
  if (typeof value !== 'object' || value === null) return pyRepr(value);
  const object = value as Record<string, unknown>; // a parsed JSON object
  return `{${keysOf(object)
    .map((key) => `${typed(key)}:${typed(object[key])}`)
    .join(',')}}`;
}

function parsed(text: string): unknown {
  const result = parseJson(text);
  if (!result.ok) throw new Error(`${text}: ${JSON.stringify(result.failure)}`);
  return result.value;
}

function failure(text: string): unknown {
  const result = parseJson(text);
  return result.ok ? null : result.failure;
}

describe('parseJson against recorded answers of Python', async () => {
  const vectors = await readVectors<Vector>(new URL('vectors/json.jsonl', import.meta.url));
  test('accepts what Python accepts, with the same value, types and key order', () => {
    for (const { text, python } of vectors) {
      if (python.value === undefined) continue;
      expect(`${text} => ${typed(parsed(text))}`).toBe(`${text} => ${python.value}`);
      expect(pyRepr(parsed(text))).toBe(python.repr ?? '');
    }
  });
  test('refuses the rest with the same message at the same code point', () => {
    let compared = 0;
    for (const { text, python } of vectors) {
      if (python.value !== undefined) continue;
      const result = parseJson(text);
      expect(`${text} ok ${result.ok}`).toBe(`${text} ok false`);
      if (result.ok || result.failure.kind !== 'syntax') continue;
      // Recorded with 3.11; later Pythons name a trailing comma.
      if (result.failure.message.startsWith('Illegal trailing comma')) continue;
      expect<unknown>([text, result.failure.message, result.failure.offset]).toEqual([
        text,
        python.message,
        python.offset,
      ]);
      compared++;
    }
    expect(compared).toBeGreaterThan(200);
  });
});

describe('parseJson', () => {
  test('names a trailing comma as Python 3.13 and later do, at the comma', () => {
    expect(failure('{"a": 1 , }')).toEqual({
      kind: 'syntax',
      message: 'Illegal trailing comma before end of object',
      offset: 8,
    });
    expect(failure('["é😀",]')).toEqual({
      kind: 'syntax',
      message: 'Illegal trailing comma before end of array',
      offset: 5,
    });
  });
  test('keeps the value of every number, and its type', () => {
    const text = '[1.0,12345678901234567890,-0.0,0.1000000000000000055511151231257827,1e400,1.5,9007199254740993]';
    expect(stringifyJson(parsed(text))).toBe(text);
  });
  test('spells floats as Python dumps them', () => {
    expect(stringifyJson(parsed('[1e5,1E20,1.50,0.000001,-0,1e-7,100000000000000000000.0]'))).toBe(
      '[100000.0,1e+20,1.5,1e-6,0,1e-7,1e+20]',
    );
  });
  test('keeps the order of integer-like keys, however they are written', () => {
    for (const text of ['{"b":1,"10":2,"2":3}', '{"b":1,"10":{"z":1,"1":2},"2":[{"a":0,"0":1}]}']) {
      expect(stringifyJson(parsed(text))).toBe(text);
    }
    expect(stringifyJson(parsed('{"b":1,"\\u0031":2}'))).toBe('{"b":1,"1":2}');
    expect(stringifyJson(parsed('{"b":1,"1":2,"b":3,"1":4}'))).toBe('{"b":3,"1":4}');
  });
  test('takes __proto__ for an ordinary key', () => {
    for (const text of ['{"__proto__":{"x":1},"b":2}', '{"__proto__":{"x":1.0},"b":2}']) {
      const value = parsed(text) as Record<string, unknown>; // an object by its text
      expect(Object.keys(value)).toEqual(['__proto__', 'b']);
      expect(Object.getPrototypeOf(value)).toBe(Object.prototype);
      expect(value.x).toBeUndefined();
      expect(stringifyJson(value)).toBe(text);
    }
    expect(({} as Record<string, unknown>).x).toBeUndefined();
  });
  test('refuses depth beyond the cap, and survives any depth', () => {
    const nested = (levels: number) => '['.repeat(levels) + ']'.repeat(levels);
    expect(parseJson(nested(1000)).ok).toBe(true);
    expect(failure(nested(1001))).toEqual({ kind: 'too_deep' });
    expect(failure('[1.0,'.repeat(100_000))).toEqual({ kind: 'too_deep' });
    expect(failure('{"a":'.repeat(100_000))).toEqual({ kind: 'too_deep' });
    expect(parseJson(nested(100_000), { maxDepth: 200_000 }).ok).toBe(true);
    expect(parseJson(nested(5), { maxDepth: 4 }).ok).toBe(false);
  });
  test('refuses ints that Python cannot convert', () => {
    expect(parseJson('9'.repeat(4300)).ok).toBe(true);
    expect(failure('9'.repeat(4301))).toEqual({ kind: 'undecodable' });
  });
  test('takes a byte order mark in bytes only, and does not count it', () => {
    const encode = (text: string) => new TextEncoder().encode(text);
    expect(parseJsonBytes(encode('\ufeff{"a":1}'))).toEqual({ ok: true, value: { a: 1 } });
    expect(parseJsonBytes(encode('\ufeff{"é" 1}'))).toMatchObject({ ok: false, failure: { offset: 5 } });
    expect(failure('\ufeff{}')).toMatchObject({ message: 'Unexpected UTF-8 BOM (decode using utf-8-sig)', offset: 0 });
    expect(parseJsonBytes(new Uint8Array([0x22, 0xff, 0x22]))).toEqual({ ok: false, failure: { kind: 'undecodable' } });
  });
});

describe('writing', () => {
  test('stringifyJson writes non-finite numbers as null, or refuses them in Python words', () => {
    expect(stringifyJson({ a: Number.NaN, b: [Number.NEGATIVE_INFINITY] })).toBe('{"a":null,"b":[null]}');
    expect(stringifyJson({ z: 1, a: 'é\u2028"', u: undefined })).toBe('{"z":1,"a":"é\u2028\\""}');
    const strict = (value: unknown) => () => stringifyJson(value, { nonFinite: 'throw' });
    expect(strict([Number.NaN])).toThrow('Out of range float values are not JSON compliant: nan');
    expect(strict({ a: { b: Number.NEGATIVE_INFINITY } })).toThrow(
      'Out of range float values are not JSON compliant: -inf',
    );
  });
  test('jsonDumps separates as Python does and writes floats by repr', () => {
    expect(jsonDumps(parsed('{"b":[1,2.0,1e-7,null,true],"10":{"é":"\\n"},"n":NaN,"i":-Infinity,"e":{},"l":[]}'))).toBe(
      '{"b": [1, 2.0, 1e-07, null, true], "10": {"é": "\\n"}, "n": NaN, "i": -Infinity, "e": {}, "l": []}',
    );
  });
});
