// The client's bench in small: it must keep working, whatever it measures. No figure is asserted here.

import { expect, test } from 'bun:test';
import { clientFigures } from './client.ts';

test('the cost of an event, alone and in a stream, measures something', async () => {
  const figures = await clientFigures(400, 3);
  expect(figures.map(({ name }) => name)).toEqual([
    'text deltas, as they come',
    'text deltas, replayed',
    'tool calls and results, as they come',
    'tool calls and results, replayed',
  ]);
  for (const { parse, stream } of figures) {
    expect(parse).toBeGreaterThanOrEqual(0);
    expect(stream).toBeGreaterThan(0);
  }
}, 60_000);
