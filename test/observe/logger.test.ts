// One entry is one line, whatever is logged; secrets stay out; nothing throws.

import { describe, expect, test } from 'bun:test';
import type { LogFormat, LogLevel } from '../../src/observe/logger.ts';
import { noopLogger } from '../../src/observe/logger.ts';
import { createRedactor } from '../../src/observe/redact.ts';
import { createLogger } from '../../src/observe/writer.ts';

function capture(format: LogFormat, level: LogLevel = 'debug') {
  const lines: string[] = [];
  const logger = createLogger({
    level,
    format,
    redactor: createRedactor(['hunter2']),
    sink: { write: (line) => lines.push(line), flush: async () => {} },
    clock: { nowMicros: () => 1_780_388_130_204_001 },
  });
  return { lines, logger };
}

test('text entries have a time, a level, a message and fields', () => {
  const { lines, logger } = capture('text');
  logger.child({ run_id: 'r-1' }).info('run started', { layers: 3, note: 'two words', gone: undefined, none: null });
  expect(lines).toEqual([
    '2026-06-02T08:15:30.204001Z INFO  run started run_id=r-1 layers=3 note="two words" none=null',
  ]);
});

test('JSON entries keep their own members whatever the fields are called', () => {
  const { lines, logger } = capture('json');
  logger.warn('late', { message: 'mine', level: 9, ms: 1.5 });
  expect(JSON.parse(lines[0] ?? '')).toEqual({
    time: '2026-06-02T08:15:30.204001Z',
    level: 'warn',
    message: 'late',
    message_: 'mine',
    level_: 9,
    ms: 1.5,
  });
});

test('entries below the level are not written', () => {
  const { lines, logger } = capture('text', 'warn');
  logger.debug('a');
  logger.info('b');
  logger.warn('c');
  logger.error('d');
  expect(lines.map((line) => line.slice(-1))).toEqual(['c', 'd']);
});

describe.each(['text', 'json'] as const)('%s', (format) => {
  const hostile = 'a\nb\r\u001b[31m\u0085\u2028"\\\u0000';

  test('an entry is one line without control characters', () => {
    const { lines, logger } = capture(format);
    logger.error(hostile, { [hostile]: hostile, error: new Error(hostile) });
    expect(lines).toHaveLength(1);
    expect(lines[0]).not.toMatch(/[\n\r\u001b\u0000]/);
    if (format === 'text') expect(lines[0]).not.toMatch(/[\u0085\u2028]/);
  });

  test('secrets are replaced in messages, fields, nested fields, errors and their causes', () => {
    const { lines, logger } = capture(format);
    logger.info('key hunter2', { a: 'hunter2', b: { c: ['hunter2'] } });
    logger.info('error', { error: new Error('hunter2', { cause: new Error('hunter2 again') }) });
    logger.info('by name', { api_key: 'x1', Authorization: 'x2', nested: { refresh_token: 'x3' }, input_tokens: 13 });
    const text = lines.join('\n');
    expect(text).not.toMatch(/hunter2|x1|x2|x3/);
    expect(text).toContain('13');
  });

  test('what cannot be printed is described', () => {
    const { lines, logger } = capture(format);
    const circular: Record<string, unknown> = {};
    circular.self = circular;
    const trap = {
      get bad(): never {
        throw new Error('no');
      },
    };
    const values = { circular, trap, big: 2n ** 70n, symbol: Symbol('s'), call: () => 1, nan: Number.NaN };
    logger.info('odd', values);
    logger.info('a getter of the fields', trap);
    logger.info('an error without text', { error: Object.create(null) });
    expect(lines).toHaveLength(3);
    expect(lines[0]).toContain('1180591620717411303424');
    expect(lines[0]).toContain('(unprintable)');
    expect(lines[1]).toContain('(unprintable)');
  });

  test('long texts and lists are cut, and a secret at the cut is not halved', () => {
    const { lines, logger } = capture(format);
    logger.info('x'.repeat(100_000), { list: Array.from({ length: 1000 }, () => 'y'.repeat(10)) });
    logger.info(`${'x'.repeat(4092)}hunter2`);
    expect(lines[0]?.length).toBeLessThan(6000);
    expect(lines[1]).not.toContain('hunt');
  });
});

test('the silent logger takes everything', () => {
  noopLogger.child({ a: 1 }).error('x');
});
