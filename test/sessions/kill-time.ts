// Lets time pass for a store of sessions without waiting for it: every lease and claim ends so much earlier. It knows how the
// stores write times down, as nobody else does; what has lapsed is still for the stores to find out.

import { Database } from 'bun:sqlite';
import { createClient } from 'redis';
import type { StoreAddress } from './kill-child.ts';

/** Prefix in braces, ms. Turns are hashes and members of `lapse`; what is owed is in `due`. */
const SCRIPT = `
local p = KEYS[1]
for _, scope in ipairs(redis.call('ZRANGE', p .. ':lapse', 0, -1)) do
  redis.call('ZINCRBY', p .. ':lapse', -ARGV[1], scope)
  redis.call('HINCRBY', p .. ':turn:' .. scope, 'until', -ARGV[1])
end
for _, id in ipairs(redis.call('ZRANGE', p .. ':due', 0, -1)) do redis.call('ZINCRBY', p .. ':due', -ARGV[1], id) end
return 0`;

/** `ms`: a whole number. */
export async function letTimePass(address: StoreAddress, ms: number): Promise<void> {
  if ('sqlite' in address) {
    using db = new Database(address.sqlite);
    db.run('PRAGMA busy_timeout = 5000');
    db.run('UPDATE agent_session_turn SET until = until - ?', [ms]);
    db.run('UPDATE agent_session_outbox SET due = due - ?', [ms]);
    return;
  }
  const client = createClient({ url: address.redis });
  client.on('error', () => {});
  await client.connect();
  try {
    await client.eval(SCRIPT, { keys: [`{${address.prefix}}`], arguments: [String(ms)] });
  } finally {
    client.destroy();
  }
}
