import { expect, test } from 'bun:test';
import type { JsonValue } from '../../src/base/json.ts';
import { fault, prepare, refusal } from './fixtures.ts';

const prompt = (config: JsonValue) => ({ prompt: { type: 'plain.prompt', config } });

test('a string is one element, blank or not; a list stays as it is', () => {
  expect(prepare(prompt({ prefix: '', user: ['', 'x'] })).get('prompt').prompts).toEqual({
    prefix: [''],
    user: ['', 'x'],
    suffix: [],
  });
});

test('everything is optional', () => {
  expect(prepare(prompt(null)).get('prompt').prompts).toEqual({ prefix: [], user: [], suffix: [] });
});

test('a value of another type is told twice, as list and as string', () => {
  expect(refusal(prompt({ user: 5 }))).toBe(
    [
      '2 validation errors for PromptLayerConfig',
      fault('user.list[str]', 'Input should be a valid list', 'list_type', 'int'),
      fault('user.str', 'Input should be a valid string', 'string_type', 'int'),
    ].join('\n'),
  );
});

test('an unknown key is refused', () => {
  expect(refusal(prompt({ user: 'x', unknown: 'field' }))).toBe(
    `1 validation error for PromptLayerConfig\n${fault('unknown', 'Extra inputs are not permitted', 'extra_forbidden', 'str')}`,
  );
});
