// `npm run fuzz`: random cases against the compiled binary until something is found or the time is over.
// Options: --seconds N (default 60), --seed N (default: the time), --kind valid|mutated|documented (default: all in turn;
// documented: every operation of the OpenAPI document).

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { startFakeDaemon } from '../fakes/plugin-daemon.ts';
import { startServer, withFolder } from '../support/server.ts';
import { type CaseKind, FUZZ_ENV, playCases, type Tally } from './cases.ts';
import { type ApiDocument, playOperations } from './documented.ts';
import { seeded } from './random.ts';

const BATCH = 200;
/** Requests to each documented operation in a batch. */
const ROUNDS = 20;
const KINDS: readonly (CaseKind | 'documented')[] = ['valid', 'mutated', 'documented'];

async function fuzz(folder: string): Promise<void> {
  const { values } = parseArgs({
    options: {
      seconds: { type: 'string', default: '60' },
      seed: { type: 'string', default: String(Date.now() % 2 ** 31) },
      kind: { type: 'string' },
    },
  });
  const kinds = KINDS.filter((kind) => values.kind === undefined || values.kind === kind);
  if (kinds.length === 0) throw new Error(`--kind ${values.kind}: use ${KINDS.join(', ')}`);
  const daemon = await startFakeDaemon();
  const store = { DIFY_AGENT_STORE_URL: `sqlite:${join(folder, 'runs.db')}` };
  const server = await startServer({ env: { ...FUZZ_ENV, ...store, DIFY_AGENT_PLUGIN_DAEMON_URL: daemon.url } });
  const document = (await (await fetch(`${server.url}/openapi.json`)).json()) as ApiDocument; // validated in documented.test.ts
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
        if (kind === 'documented') {
          for (const [key, count] of await playOperations(server.url, document, seeded(seed), ROUNDS)) {
            tally.set(key, (tally.get(key) ?? 0) + count);
          }
        } else await playCases({ server, daemon }, kind, seed, BATCH, tally);
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
