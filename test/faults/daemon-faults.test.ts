// A plugin daemon in every kind of trouble (daemon-faults.ts), on SQLite; `npm run test:faults` plays both stores.

import { describe, test } from 'bun:test';
import { DAEMON_FAULTS, daemonRound } from './daemon-faults.ts';

describe.concurrent('a run ends, and the process goes on, when the daemon', () => {
  for (const fault of DAEMON_FAULTS) test(fault.name, async () => void (await daemonRound(fault, 'sqlite')), 240_000);
});
