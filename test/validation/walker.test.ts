import { describe, expect, test } from 'bun:test';
import {
  any,
  checked,
  datetime,
  decimal,
  dict,
  float,
  int,
  json,
  list,
  model,
  optional,
  required,
  type Schema,
  str,
  union,
} from '../../src/protocol/dialect.ts';
import { createRunRequest } from '../../src/protocol/runs.ts';
import { printPydantic } from '../../src/validation/pydantic.ts';
import { MAX_ISSUES } from '../../src/validation/state.ts';
import { compile, type Mode, validate } from '../../src/validation/walker.ts';
import { parseJson, stringifyJson } from '../../src/wiretext/json.ts';
import { readVectors } from '../support/vectors.ts';
import { SCHEMAS } from './vectors/schemas.ts';

interface Vector {
  readonly schema: string;
  readonly modes: readonly Mode[];
  readonly input: string;
  /** The dump of the value, floats as 2.13 spells them (`1e+20`); null when pydantic could not dump it. */
  readonly ok?: string | null;
  readonly issues?: readonly object[];
  readonly text?: string;
}

const value = (text: string): unknown => {
  const result = parseJson(text);
  if (!result.ok) throw new Error(text);
  return result.value;
};

describe('against recorded answers of pydantic', async () => {
  const vectors = await readVectors<Vector>(new URL('vectors/pydantic.jsonl', import.meta.url));
  for (const [name, schema] of Object.entries(SCHEMAS)) {
    test(`${name}: same values, same issues, same text`, () => {
      const rows = vectors.filter((row) => row.schema === name);
      expect(rows.length).toBeGreaterThan(0);
      const validator = compile(schema);
      for (const { modes, input, ok, issues, text } of rows) {
        for (const mode of modes) {
          const where = `${mode} ${input.slice(0, 200)}`;
          const result = validator(value(input), { mode });
          if (result.ok) {
            expect([where, issues]).toEqual([where, undefined]);
            if (typeof ok === 'string') expect([where, stringifyJson(result.value)]).toEqual([where, ok]);
            continue;
          }
          const found = result.issues.map(({ input: _, ...rest }) => rest);
          expect<unknown>([where, found]).toEqual([where, issues]);
          if (text !== undefined && mode === 'python') {
            const title = / for (.*)\n/.exec(text)?.[1] ?? '';
            expect(printPydantic(title, result.issues, { maskInput: false })).toBe(text);
          }
        }
      }
    });
  }
});

describe('the walker', () => {
  test('fills defaults, keeps field order and never touches its input', () => {
    const schema = model('M', { a: required(int()), b: optional(list(int()), () => [1]), c: optional(str(), 'x') });
    const input = Object.freeze({ c: 'y', a: Object.freeze('7') });
    const result = validate(schema, input);
    expect(result).toEqual({ ok: true, value: { a: 7, b: [1], c: 'y' } });
    expect(result.ok && Object.keys(result.value)).toEqual(['a', 'b', 'c']);
    expect(input).toEqual({ c: 'y', a: '7' });
    const again = validate(schema, { a: 1 });
    expect(result.ok && again.ok && result.value.b !== again.value.b).toBe(true);
  });
  test('drops what is tolerated or ignored, refuses the rest', () => {
    const strict = model('M', { a: required(int()) }, { tolerated: ['new'] });
    expect(validate(strict, { a: 1, new: 2 })).toEqual({ ok: true, value: { a: 1 } });
    expect(validate(strict, { a: 1, new: 2, old: 3 })).toMatchObject({ issues: [{ loc: ['old'] }] });
    expect(validate(model('M', { a: required(int()) }, { extra: 'ignore' }), { a: 1, z: 2 })).toEqual({
      ok: true,
      value: { a: 1 },
    });
  });
  test('an absent field without a default stays absent', () => {
    const schema = model('TD', { a: { schema: int(), required: false } }, { flavour: 'typed_dict' });
    expect(validate(schema, {})).toEqual({ ok: true, value: {} });
  });
  test('does not read inherited properties and does not pollute prototypes', () => {
    const schema = model('M', { toString: optional(str(), 'mine') });
    expect(validate(schema, {})).toEqual({ ok: true, value: { toString: 'mine' } });
    const open = dict(any());
    const result = validate(open, value('{"__proto__":{"x":1},"constructor":2}'));
    expect(result.ok && stringifyJson(result.value)).toBe('{"__proto__":{"x":1},"constructor":2}');
    expect(result.ok && Object.getPrototypeOf(result.value)).toBe(Object.prototype);
    expect(validate(model('M', {}), value('{"__proto__":1}'))).toMatchObject({
      issues: [{ loc: ['__proto__'], input: 1 }],
    });
  });
  test('keeps numbers and key order of free JSON', () => {
    const schema = model('M', { d: required(dict(json())), x: required(json()) });
    const text = '{"d":{"b":1.0,"10":12345678901234567890,"2":null},"x":{"z":1e+20,"1":0}}';
    const result = validate(schema, value(text));
    expect(result.ok && stringifyJson(result.value)).toBe(text);
  });
  describe('free JSON that is nested too deep', () => {
    const nested = (levels: number, open = '[', close = ']') => value(`${open.repeat(levels)}1${close.repeat(levels)}`);
    const refusal = (schema: Schema, input: unknown, mode: Mode) => {
      const result = validate(schema, input, { mode });
      return result.ok ? null : result.issues.map(({ type, loc }) => [type, loc.length]);
    };
    test('is refused from the 256th level on, in the body of a request one earlier', () => {
      expect(refusal(json(), nested(254), 'python')).toBeNull();
      expect(refusal(json(), nested(255), 'python')).toEqual([['recursion_loop', 510]]);
      expect(refusal(json(), nested(253), 'attributes')).toBeNull();
      expect(refusal(json(), nested(254), 'attributes')).toEqual([['recursion_loop', 508]]);
      // FastAPI's answer to 300 levels in `metadata.m`
      const body = { composition: { layers: [] }, metadata: { m: nested(300) } };
      expect(refusal(createRunRequest, body, 'attributes')).toEqual([['recursion_loop', 510]]);
    });
    test('a config may be a deep object, but not a deep list', () => {
      const body = (config: unknown) => ({ composition: { layers: [{ name: 'n', type: 't', config }] } });
      expect(refusal(createRunRequest, body(nested(900, '{"a":', '}')), 'attributes')).toBeNull();
      expect(refusal(createRunRequest, body(nested(253)), 'attributes')).toBeNull();
      expect(refusal(createRunRequest, body(nested(260)), 'attributes')).toEqual([
        ['recursion_loop', 514],
        ['model_attributes_type', 6],
        ['dict_type', 5],
        ['string_type', 5],
        ['bytes_type', 5],
      ]);
    });
  });
  test('a check speaks only about values that are valid', () => {
    const schema = model('M', { a: required(checked(str(), (text) => (text.length > 3 ? 'too long' : null))) });
    expect(validate(schema, { a: 'abcd' })).toEqual({
      ok: false,
      issues: [{ type: 'value_error', loc: ['a'], msg: 'Value error, too long', input: 'abcd', ctx: { error: {} } }],
    });
    expect(validate(schema, { a: 5 })).toMatchObject({ issues: [{ type: 'string_type' }] });
  });
  test('a union inside a list does not leak issues of refused members into a success', () => {
    const schema = list(union({ 'list[str]': list(str()), str: str() }));
    expect(validate(schema, ['a', ['b']])).toEqual({ ok: true, value: ['a', ['b']] });
    expect(validate(schema, ['a', [1], 2])).toMatchObject({
      issues: [{ loc: [1, 'list[str]', 0] }, { loc: [1, 'str'] }, { loc: [2, 'list[str]'] }, { loc: [2, 'str'] }],
    });
  });
  test('a text of 4,300 characters is the longest int, its minus included', () => {
    expect(validate(int(), `+00${'9'.repeat(4300)}`).ok).toBe(true);
    expect(validate(int(), `-${'9'.repeat(4299)}`).ok).toBe(true);
    expect(validate(int(), `-${'9'.repeat(4300)}`)).toMatchObject({ issues: [{ type: 'int_parsing_size' }] });
  });
  test('reads numbers from hostile texts in linear time', () => {
    const many = (text: string) => text.repeat(1_000_000);
    const texts = [
      `x${many(' ')}x`,
      `${many('1')}x`,
      `${many('1_')}x`,
      `1.${many('0')}x`,
      `1e${many('1')}x`,
      many('.'),
    ];
    for (const schema of [int(), float(), decimal(), datetime()]) {
      for (const text of texts) expect(validate(schema, text).ok).toBe(false);
    }
  });
  test('stops collecting issues of a hostile input', () => {
    const result = validate(list(str()), new Array(MAX_ISSUES * 3).fill(1));
    expect(result.ok ? 0 : result.issues.length).toBe(MAX_ISSUES);
  });
  test('times come out in UTC', () => {
    const schema = SCHEMAS.datetime ?? str();
    const utc = (text: unknown) => validate(schema, text);
    expect(utc('2026-05-26T03:14:10.5+02:00')).toEqual({ ok: true, value: '2026-05-26T01:14:10.500000Z' });
    expect(utc('2026-05-26 03:14')).toEqual({ ok: true, value: '2026-05-26T03:14:00Z' });
    expect(utc('2026-05-26')).toEqual({ ok: true, value: '2026-05-26T00:00:00Z' });
    expect(utc('0001-01-01T00:00:00+01:00')).toEqual({ ok: true, value: '0001-01-01T00:00:00+01:00' });
  });
});
