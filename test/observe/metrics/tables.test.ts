// Sums as plain fields: bounded in number, exact in value.

import { expect, test } from 'bun:test';
import { counts, Distribution, distributions, OTHER, Table } from '../../../src/observe/metrics/tables.ts';

test('the same label values share one sum', () => {
  const table = counts(2);
  table.of('a', 'b').total += 1;
  table.of('a', 'b').total += 2;
  table.of('b', 'a').total += 4;
  expect(table.series.map(({ labels, value }) => [...labels, value.total])).toEqual([
    ['a', 'b', 3],
    ['b', 'a', 4],
  ]);
});

test('label values beyond the bound are counted together, and those before it go on', () => {
  const table = counts(2);
  for (let i = 0; i < 2_000; i++) table.of(`path-${i}`, 'GET').total += 1;
  table.of('path-0', 'GET').total += 1;
  expect(table.series).toHaveLength(513);
  expect(table.of('path-0', 'GET').total).toBe(2);
  const rest = table.series.at(-1);
  expect([rest?.labels, rest?.value.total]).toEqual([[OTHER, OTHER], 2_000 - 512]);
});

test('a value falls into the first bucket that is not below it; beyond the last it is in sum and count alone', () => {
  const distribution = new Distribution([1, 2, 5]);
  for (const value of [0, 1, 1.5, 2, 5, 5.1]) distribution.observe(value);
  expect(distribution.buckets).toEqual([2, 2, 1]);
  expect([distribution.count, distribution.sum]).toEqual([6, 14.6]);
});

test('each set of label values has a distribution of its own', () => {
  const table = distributions(1, [1]);
  table.of('a').observe(0.5);
  table.of('b').observe(2);
  expect(table.series.map(({ value }) => value.buckets)).toEqual([[1], [0]]);
});

test('a table without labels has one sum', () => {
  const table = new Table(0, () => ({ n: 0 }));
  table.of().n += 1;
  table.of().n += 1;
  expect(table.series).toEqual([{ labels: [], value: { n: 2 } }]);
});
