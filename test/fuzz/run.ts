// `npm run fuzz`: random cases against the compiled binary until something is found or the time is over.
// Options: --seconds N (default 60), --seed N (default: the time), --kind valid|mutated (default: both in turn).

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { startFakeDaemon } from '../fakes/plugin-daemon.ts';
import { startServer, withFolder } from '../support/server.ts';
import { type CaseKind, FUZZ_ENV, playCases, type Tally } from './cases.ts';

const BATCH = 200;

async function fuzz(folder: string): Promise<void> {
  const { values } = parseArgs({
    options: {
      seconds: { type: 'string', default: '60' },
      seed: { type: 'string', default: String(Date.now() % 2 ** 31) },
      kind: { type: 'string' },
    },
  });
  const kinds: readonly CaseKind[] = values.kind === undefined ? ['valid', 'mutated'] : [values.kind as CaseKind]; // a typo plays no case
  const daemon = await startFakeDaemon();
  const store = { DIFY_AGENT_STORE_URL: `sqlite:${join(folder, 'runs.db')}` };
  const server = await startServer({ env: { ...FUZZ_ENV, ...store, DIFY_AGENT_PLUGIN_DAEMON_URL: daemon.url } });
  const tally: Tally = new Map();
  const until = performance.now() + Number(values.seconds) * 1000;
  let seed = Number(values.seed);
  const memory = () =>
    `${Math.round(Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${server.pid}/status`, 'utf8'))?.[1]) / 1024)} MB`;
  console.log(`fuzzing from seed ${seed} for ${values.seconds} s; the server holds ${memory()}`);
  try {
    while (performance.now() < until) {
      for (const kind of kinds) {
        daemon.play({});
        await playCases({ server, daemon }, kind, seed, BATCH, tally);
      }
      seed += BATCH;
    }
    console.log(`nothing found up to seed ${seed}; the server holds ${memory()}`);
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    process.exitCode = 1;
  } finally {
    console.log(Object.fromEntries([...tally].sort()));
    await server.dispose();
    await daemon.stop();
  }
}

if (import.meta.main) void withFolder(fuzz);
