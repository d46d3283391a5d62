// Tracing channels say whether anybody listens, so that node-redis need not describe its commands to nobody.

import { expect, test } from 'bun:test';
import { tracingChannel } from 'node:diagnostics_channel';
import { dial } from '../../src/store/redis-connection.ts';
import { ensureTracingCanBeOff } from '../../src/store/redis-tracing.ts';
import { startRedis } from '../support/redis-process.ts';

test('a tracing channel knows whether anybody listens', () => {
  ensureTracingCanBeOff();
  ensureTracingCanBeOff();
  const channel = tracingChannel('dify-agent:test');
  const said = () => Reflect.get(channel, 'hasSubscribers');
  const listener = () => {};
  expect(said()).toBe(false);
  for (const part of [channel.start, channel.asyncEnd, channel.error]) {
    part.subscribe(listener);
    expect(said()).toBe(true);
    part.unsubscribe(listener);
    expect(said()).toBe(false);
  }
});

test('node-redis tells those who listen, and them alone', async () => {
  const redis = await startRedis();
  const connection = await dial({ url: redis.url, name: 'test' });
  const told: unknown[] = [];
  const start = tracingChannel('node-redis:command').start;
  const listener = (message: unknown) => told.push(message);
  try {
    await connection.send(['PING']);
    start.subscribe(listener);
    await connection.send(['ECHO', 'x']);
    expect(told).toMatchObject([{ command: 'ECHO' }]);
  } finally {
    start.unsubscribe(listener);
    connection.destroy(new Error('the test is over'));
    await redis.dispose();
  }
});
