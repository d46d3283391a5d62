// The measurements of issue STUB in small: they must keep working, whatever they measure. No figure is asserted here.

import { expect, test } from 'bun:test';
import { grpcConnections, httpConnections, startCosts, tokenCosts } from './stub-measures.ts';

test('tokens, calls and starts measure something', async () => {
  for (const { mint, check, checkAgain } of Object.values(await tokenCosts(20))) {
    expect(Math.min(mint, check, checkAgain)).toBeGreaterThan(0);
  }
  expect((await httpConnections(40, 4)).perSecond).toBeGreaterThan(1);
  expect((await grpcConnections(40, 4)).perSecond).toBeGreaterThan(1);
  expect((await startCosts()).bare).toBeGreaterThan(0);
}, 180_000);
