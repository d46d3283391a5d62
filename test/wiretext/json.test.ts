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
  test('keeps the value of every number that Python keeps, and its type', () => {
    const text = '[1.0,12345678901234567890,-0.0,1.5,9007199254740993]';
    expect(stringifyJson(parsed(text))).toBe(text);
  });
  test('takes the nearest double for a float, as Python does', () => {
    expect(stringifyJson(parsed('[0.1000000000000000055511151231257827,9007199254740993.0,4.9e-324,1e-400]'))).toBe(
      '[0.1,9007199254740992.0,5e-324,0.0]',
    );
    expect(parsed('[1e400,-1e400]')).toEqual([Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]);
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
    expect(parseJson(nested(1250)).ok).toBe(true);
    expect(failure(nested(1251))).toEqual({ kind: 'too_deep' });
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
    expect(parseJsonBytes(encode('\ufeff\ufeff{}'))).toMatchObject({
      failure: { message: 'Expecting value', offset: 0 },
    });
    expect(parseJsonBytes(new Uint8Array([0x22, 0xff, 0x22]))).toEqual({ ok: false, failure: { kind: 'undecodable' } });
  });
});

describe('parseJsonBytes reads every encoding that Python detects', () => {
  const text = '{"é😀":[1,"\ud83d\ude00"]}';
  const utf16 = (from: string, littleEndian: boolean) => {
    const view = new DataView(new ArrayBuffer(from.length * 2));
    for (let i = 0; i < from.length; i++) view.setUint16(i * 2, from.charCodeAt(i), littleEndian);
    return new Uint8Array(view.buffer);
  };
  const utf32 = (from: string, littleEndian: boolean) => {
    const codes = Array.from(from, (char) => char.codePointAt(0) ?? 0);
    const view = new DataView(new ArrayBuffer(codes.length * 4));
    for (const [i, code] of codes.entries()) view.setUint32(i * 4, code, littleEndian);
    return new Uint8Array(view.buffer);
  };
  for (const encode of [utf16, utf32]) {
    for (const littleEndian of [true, false]) {
      test(`${encode.name}${littleEndian ? 'le' : 'be'}, with and without a mark`, () => {
        for (const mark of ['', '\ufeff']) {
          const result = parseJsonBytes(encode(mark + text, littleEndian));
          expect<unknown>(result).toEqual({ ok: true, value: JSON.parse(text) });
          const fault = parseJsonBytes(encode(`${mark}{"😀":1,}`, littleEndian));
          expect(fault).toMatchObject({
            failure: { message: 'Illegal trailing comma before end of object', offset: 6 },
          });
        }
      });
    }
  }
  test('short texts, and bytes that are no text', () => {
    const parse = (...bytes: number[]) => parseJsonBytes(new Uint8Array(bytes));
    expect<unknown>(parse(0x37)).toEqual({ ok: true, value: 7 });
    expect<unknown>(parse(0x37, 0)).toEqual({ ok: true, value: 7 });
    expect<unknown>(parse(0, 0x37)).toEqual({ ok: true, value: 7 });
    for (const bad of [[0xff], [0xff, 0xfe, 0x37], [0, 0, 0, 0x22, 0, 0, 0x22], [0x22, 0, 0, 0, 0, 0, 0x11, 0]]) {
      expect(parse(...bad)).toEqual({ ok: false, failure: { kind: 'undecodable' } });
    }
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
  test('stringifyJson spells floats as pydantic dumps them, or as json.dumps does', () => {
    const value = parsed('{"a":[1e-5,0.0001,1e-7,-2.5e-10,0.0,1.0,1e20,7],"b":NaN}');
    expect(stringifyJson(value)).toBe('{"a":[0.00001,0.0001,1e-7,-2.5e-10,0.0,1.0,1e+20,7],"b":null}');
    expect(stringifyJson(value, { floats: 'repr' })).toBe(
      '{"a":[1e-05,0.0001,1e-07,-2.5e-10,0.0,1.0,1e+20,7],"b":null}',
    );
    expect(stringifyJson([1e-5, 1], { floats: 'repr', nonFinite: 'throw' })).toBe('[1e-05,1]');
    expect(() => stringifyJson([1e-5, Number.NaN], { floats: 'repr', nonFinite: 'throw' })).toThrow('nan');
  });
  test('jsonDumps separates as Python does and writes floats by repr', () => {
    expect(jsonDumps(parsed('{"b":[1,2.0,1e-7,null,true],"10":{"é":"\\n"},"n":NaN,"i":-Infinity,"e":{},"l":[]}'))).toBe(
      '{"b": [1, 2.0, 1e-07, null, true], "10": {"é": "\\n"}, "n": NaN, "i": -Infinity, "e": {}, "l": []}',
    );
  });
});
