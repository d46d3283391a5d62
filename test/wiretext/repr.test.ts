import { expect, test } from 'bun:test';
import { parseJson } from '../../src/wiretext/json.ts';
import { pyRepr, pythonTypeName, truncatedRepr } from '../../src/wiretext/repr.ts';
import { readVectors } from '../support/vectors.ts';

interface Vector {
  readonly value: string;
  readonly repr: string;
  readonly shown: string;
}

const vectors = await readVectors<Vector>(new URL('vectors/repr.jsonl', import.meta.url));

test('repr is that of Python, and its shortening that of pydantic', () => {
  for (const { value, repr, shown } of vectors) {
    const result = parseJson(value);
    if (!result.ok) throw new Error(value);
    expect(pyRepr(result.value)).toBe(repr);
    expect(truncatedRepr(result.value)).toBe(shown);
  }
});

test('types are named as in Python', () => {
  const names = ['s', 1, 1.5, JSON.rawJSON('1.0'), JSON.rawJSON('12345678901234567890'), true, null, [], {}].map(
    pythonTypeName,
  );
  expect(names).toEqual(['str', 'int', 'float', 'float', 'int', 'bool', 'NoneType', 'list', 'dict']);
});
