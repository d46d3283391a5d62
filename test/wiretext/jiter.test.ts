import { describe, expect, test } from 'bun:test';
import { parseJiter } from '../../src/wiretext/jiter.ts';
import { stringifyJson } from '../../src/wiretext/json.ts';
import { readVectors } from '../support/vectors.ts';

interface Vector {
  readonly text: string;
  readonly jiter: { readonly value?: string; readonly message?: string };
}

const messageOf = (text: string): string => {
  const result = parseJiter(text);
  return result.ok ? 'ok' : result.message;
};

describe('parseJiter', async () => {
  const vectors = await readVectors<Vector>(new URL('vectors/json.jsonl', import.meta.url));
  test('accepts and refuses what pydantic does, with its messages and byte columns', () => {
    for (const { text, jiter } of vectors) {
      expect(`${text} => ${messageOf(text)}`).toBe(`${text} => ${jiter.message ?? 'ok'}`);
    }
  });
  test('says what the recorded runs said', () => {
    expect(messageOf('{nope')).toBe('key must be a string at line 1 column 2');
    expect(messageOf('event: message')).toBe('expected value at line 1 column 1');
    expect(messageOf('{"city": "Os')).toBe('EOF while parsing a string at line 1 column 12');
  });
  test('stops at 200 levels around a value', () => {
    expect(messageOf('['.repeat(201) + ']'.repeat(201))).toBe('ok');
    expect(messageOf(`${'['.repeat(201)}1`)).toBe('recursion limit exceeded at line 1 column 202');
    expect(messageOf('[ '.repeat(300))).toBe('recursion limit exceeded at line 1 column 403');
    expect(messageOf('{"a":'.repeat(100_000))).toBe('recursion limit exceeded at line 1 column 1006');
  });
  test('refuses ints of more than 4,300 digits', () => {
    expect(messageOf(`[${'1'.repeat(4301)},2]`)).toBe('number out of range at line 1 column 4303');
    expect(messageOf(`[${'1'.repeat(4300)},2]`)).toBe('ok');
  });
  test('keeps numbers and key order', () => {
    const text = '{"b":1.0,"10":12345678901234567890}';
    const result = parseJiter(text);
    expect(result.ok && stringifyJson(result.value)).toBe(text);
  });
});
