// The measurements in small: they must keep working, whatever they measure. No figure is asserted here.

import { expect, test } from 'bun:test';
import { connectionsPerSecond, startStubProcess, tokenCosts } from './measures.ts';

test('the costs of tokens and of connections measure something', async () => {
  expect((await tokenCosts(20)).check).toBeGreaterThan(0);
  const server = await startStubProcess();
  try {
    expect(await connectionsPerSecond(server.url, 40, 4)).toBeGreaterThan(1);
  } finally {
    server.stop();
  }
}, 30_000);
