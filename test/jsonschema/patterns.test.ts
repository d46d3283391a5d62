import { describe, expect, test } from 'bun:test';
import { splitLookahead } from '../../src/jsonschema/lookahead.ts';
import { Patterns } from '../../src/jsonschema/patterns.ts';
import { MAX_CHECK_STEPS, WorkBudget, WorkBudgetError } from '../../src/jsonschema/work.ts';
import { compile, refusal } from './support.ts';

const schema = (pattern: string) => ({ type: 'object', properties: { a: { items: { pattern } } } });

test('a hostile pattern does not block', async () => {
  const { check } = await compile(schema('^(a+)+$'));
  const start = performance.now();
  expect(check({ a: [`${'a'.repeat(5000)}!`] })).toEndWith("does not match '^(a+)+$'");
  expect(performance.now() - start).toBeLessThan(1000); // backtracking: never
});

test('one validation has a budget for its patterns, the next one has it again', async () => {
  const { check } = await compile(schema('[xy].{900}[^xyz]$'));
  const long = 'xyzzy'.repeat(MAX_CHECK_STEPS / 5 / 900);
  expect(check({ a: [long, long] })).toBe('$: the value is too large to be checked against this schema');
  expect(check({ a: ['x'] })).toBe("$.a[0]: 'x' does not match '[xy].{900}[^xyz]$'");
});

test('the budget is spent by all texts together', () => {
  const budget = new WorkBudget();
  const pattern = new Patterns(budget).get('ab{1000}');
  const half = 'a'.repeat(MAX_CHECK_STEPS / 2000);
  pattern.test(half);
  expect(() => pattern.test(half)).toThrow(WorkBudgetError);
  budget.reset();
  expect(pattern.test(half)).toBeFalse();
});

test.each(['(', '[a', 'a{2,1}', '*', '(?'])('%s is no pattern', async (pattern) => {
  expect(await refusal(schema(pattern))).toBe(`'${pattern}' is not a 'regex'`);
  expect(await refusal({ type: 'object', patternProperties: { [pattern]: {} } })).toBe(`'${pattern}' is not a 'regex'`);
});

test.each(['(a)\\1', 'a(?=b)', '^(?!a)b|c', 'x{1001}'])('%s is refused by name', async (pattern) => {
  expect(await refusal(schema(pattern))).toStartWith(
    `Pattern '${pattern.replace('\\', '\\\\')}' cannot be matched in linear time`,
  );
});

test('a pattern under a keyword that asserts nothing is not looked at', async () => {
  expect(await refusal({ type: 'object', default: { pattern: '[' }, 'x-own': { pattern: '[' } })).toBe('accepted');
});

describe('patterns mean what they mean to the language', () => {
  test.each([
    ['^\\d{4}-\\d{2}$', '2026-06'],
    ['^[\\w.-]+@[\\w-]+\\.\\w+$', 'a.b@c.de'],
    ['^[\\u4e00-\\u9fa5]+$', '中文'],
    ['^\\p{L}+$', 'é'],
    ['^.$', '😀'],
    ['b', 'abc'],
    ['^\\/x\\-$', '/x-'], // an escape that the flag `u` forbids
    ['(?<!a)b', 'ab'],
    ['^(?!\\s*$).+', '   '],
    ['^(?!\\s*$).+', ' x '],
    ['^(?=.*\\d)(?=.*[a-z]).{3,}$', 'ab1'],
    ['^(?=.*\\d)(?=.*[a-z]).{3,}$', 'abc'],
    ['^(?![)(|])[a-z]', '|'],
    ['^(?!a|b)[a-z]+$', 'bc'],
    ['^(?=a)', 'ba'],
  ])('%s on %s', (pattern, text) => {
    expect(new Patterns(new WorkBudget()).get(pattern).test(text)).toBe(
      new RegExp(pattern, pattern.includes('\\-') ? '' : 'u').test(text),
    );
  });
});

test.each(['abc', '^abc', '(?=a)b', '^(?=a)*b', '^(?=a', '^(?!a)b|c'])(
  '%s has no look-ahead to split off',
  (pattern) => {
    expect(splitLookahead(pattern)).toBeNull();
  },
);
