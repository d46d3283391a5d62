// What becomes of figures: limits, the target table, shares of the machine's limits, the document.

import { expect, test } from 'bun:test';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../support/binary.ts';
import { BEGIN, END, markdown, terminalLines, withFigures } from './document.ts';
import { type Draft, figureOf, holds, limitText, rounded, shareOfFloor } from './figures.ts';
import { merged } from './suite.ts';
import { judge, TARGETS, targetLimit } from './targets.ts';

const draft = (id: string, blocks: readonly number[], more: Partial<Draft> = {}): Draft => ({
  ...{ id, name: `the ${id}`, unit: 'runs/s', model: 'fake daemon', driver: 'does | something', blocks },
  ...more,
});
const where = {
  ...{ date: '2026-11-21', commit: 'abc', machine: '2 × X', versions: 'Bun 1', load: 0.1, blocks: 3 },
  command: 'npm run bench',
};

test('limits: at least, at most, below; what is not a number holds none', () => {
  expect([holds(5, { least: 5 }), holds(4, { least: 5 })]).toEqual([true, false]);
  expect([holds(5, { most: 5 }), holds(5, { below: 5 }), holds(4.9, { below: 5 })]).toEqual([true, false, true]);
  expect(holds(Number.NaN, { most: 5 })).toBe(false);
  expect([limitText({ least: 53_000 }), limitText({ most: 1.15 }), limitText({ below: 12 })]).toEqual([
    '≥ 53,000',
    '≤ 1.15',
    '< 12',
  ]);
});

test('figures keep three digits', () => {
  expect([rounded(12_345.6), rounded(12.345), rounded(0.12345), rounded(0), rounded(-1.239)]).toEqual([
    12_346, 12.3, 0.123, 0, -1.24,
  ]);
});

test('a row passes when all of its parts hold, misses when one does not, and says nothing before all are measured', () => {
  const p50 = figureOf(draft('live.p50', [1, 2, 1]), 'redis');
  const row = (...figures: Parameters<typeof judge>[0]) =>
    judge(figures).find(({ target }) => target.parts.some(({ figure }) => figure === 'live.p50.redis'));
  expect(row(p50)).toMatchObject({ verdict: '', medians: '1 / –', limits: '< 3 / < 15' });
  expect(row(p50, figureOf(draft('live.p99', [14]), 'redis'))?.verdict).toBe('pass');
  expect(row(p50, figureOf(draft('live.p99', [15]), 'redis'))?.verdict).toBe('MISS');
  // The same figure on the other store is not what the row asks for.
  expect(row(p50, figureOf(draft('live.p99', [14]), 'sqlite'))?.verdict).toBe('');
});

test('a rate is a part of its limit; of a time the limit is a part', () => {
  const floors = [figureOf(draft('f', [100]), 'none'), figureOf(draft('t', [1], { unit: 'ms' }), 'none')];
  expect(shareOfFloor(figureOf(draft('a', [25], { floor: 'f' }), 'redis'), floors)).toBe(0.25);
  expect(shareOfFloor(figureOf(draft('b', [4], { unit: 'ms', floor: 't' }), 'redis'), floors)).toBe(0.25);
  expect(shareOfFloor(figureOf(draft('c', [4]), 'redis'), floors)).toBeNull();
});

test('tables name model, store, driver and coalescing, and what could not be measured', () => {
  const limit = targetLimit('streaming', 'redis');
  const figures = [figureOf(draft('streaming', [1, 3, 2], limit === undefined ? {} : { limit }), 'redis')];
  const failures = [{ section: 'growth', store: 'redis', error: 'no\nredis' }];
  const text = markdown(figures, failures, [where]);
  expect(text).toStartWith('Taken in one go:\n\n- 2026-11-21 at abc by `npm run bench` on 2 × X;');
  expect(text).toContain('| 2 runs/s | 1, 3, 2 | ≥ 53,000 **miss** |');
  expect(text).toContain('fake daemon · Redis · does \\| something · coalescing off');
  expect(text).toContain('- growth on redis: no redis');
  expect(text.match(/\*\*miss\*\*/g)).toHaveLength(2);
  expect(terminalLines(figures, failures).join('\n')).toContain('NOT MEASURED: growth on redis');
  const twice = markdown(figures, failures, [where, { ...where, command: 'npm run bench -- --only live' }]);
  expect(twice.match(/^- 2026-11-21 at abc by/gm)).toHaveLength(2);
});

test('the document keeps what stands outside its markers, and is refused without them', () => {
  const before = `# A\n${BEGIN}\nold\n${END}\nB\n`;
  expect(withFigures(before, 'new')).toBe(`# A\n${BEGIN}\n\nnew\n${END}\nB\n`);
  expect(withFigures(withFigures(before, 'new'), 'new')).toBe(withFigures(before, 'new'));
  expect(() => withFigures('# A', 'new')).toThrow('no markers');
  expect(() => withFigures(readFileSync(join(ROOT, 'docs/performance.md'), 'utf8'), 'new')).not.toThrow();
});

test('the table has the rows of the issue, and each of its figures one limit', () => {
  expect(TARGETS).toHaveLength(13);
  const parts = TARGETS.flatMap((row) => row.parts);
  expect(parts).toHaveLength(18);
  expect(new Set(parts.map(({ figure }) => figure)).size).toBe(18);
  expect(targetLimit('start', 'sqlite')).toEqual({ below: 60 });
  expect(targetLimit('start', 'redis')).toBeUndefined();
});

test('a later run replaces what it measured again, and keeps the rest in its place', () => {
  const a = figureOf(draft('a', [1]), 'redis');
  const b = figureOf(draft('b', [2]), 'redis');
  const again = figureOf(draft('a', [9]), 'redis');
  const other = figureOf(draft('a', [5]), 'sqlite');
  const failed = (section: string) => ({ section, store: 'redis', error: 'x' });
  const earlier = {
    figures: [a, b],
    failures: [failed('growth'), failed('live')],
    tried: ['growth.redis', 'live.redis'],
  };
  const both = merged(earlier, { figures: [again, other], failures: [], tried: ['growth.redis'] });
  expect(both.figures).toEqual([again, b, other]);
  expect(both.failures).toEqual([failed('live')]);
});
