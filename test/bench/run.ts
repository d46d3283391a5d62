// `npm run bench`: every figure of docs/performance.md against its target, on this machine, or with --base-url the reference's own
// profile on servers that are up already. SQLite alone, the model stream and the comparison of two builds have benches of their own:
// store.ts, model-stream.ts, reliability.ts.

import { readFileSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, release } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { ensureBinary, ROOT } from '../support/binary.ts';
import { redisBinary } from '../support/redis-process.ts';
import { type Circumstances, markdown, terminalLines, withFigures } from './document.ts';
import { compare } from './profile/compare.ts';
import { merged, runSuite, SECTIONS, type SuiteResult } from './suite.ts';

const HELP = `npm run bench -- [options]

Measures this build on this machine: a minute or two per group, about ten minutes in all. Nothing else should run meanwhile.
  --only NAMES       only these sections, e.g. runs,replay. Sections: ${Object.keys(SECTIONS).join(', ')}
  --store NAME       sqlite, redis or both (default: both, where a section asks for both)
  --blocks N         how often each is measured, at least 1 (default 3)
  --short            tiny loads: only whether the bench works; the figures mean nothing
  --json FILE        all figures with their blocks
  --write            puts the tables into docs/performance.md; not with --only or --store, but for
  --merge FILE       keeps the figures of an earlier --json that this run does not measure again
DIFY_AGENT_TEST_BINARY names another binary than the one of this tree.

Or measures servers that are up, by the reference's profile (spec 07 §6.1):
  --base-url URL     given twice: their blocks alternate
  --fakes-port PORT  where the fake plugin daemon listens, and where the servers expect it (default 5002)
  --pid PID          of each server in turn: CPU time and memory
  --redis-url URL    of each server in turn: commands and bytes. --redis-prefix PREFIX of their keys (default dify-agent-bench)
  --only NAMES       only these scenarios, e.g. single_1_chunk_c1
  --blocks N, --json FILE as above; --short: three runs per scenario
`;

const STORES: Readonly<Record<string, readonly ('sqlite' | 'redis')[]>> = {
  sqlite: ['sqlite'],
  redis: ['redis'],
  both: ['sqlite', 'redis'],
};
/** Above this load average figures are not worth much. */
const IDLE_LOAD = 0.5;

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      help: { type: 'boolean', short: 'h', default: false },
      only: { type: 'string' },
      store: { type: 'string', default: 'both' },
      blocks: { type: 'string', default: '3' },
      short: { type: 'boolean', default: false },
      json: { type: 'string' },
      write: { type: 'boolean', default: false },
      merge: { type: 'string' },
      'base-url': { type: 'string', multiple: true },
      'fakes-port': { type: 'string', default: '5002' },
      pid: { type: 'string', multiple: true },
      'redis-url': { type: 'string', multiple: true },
      'redis-prefix': { type: 'string', default: 'dify-agent-bench' },
    },
  });
  if (values.help) {
    console.log(HELP);
    return 0;
  }
  const blocks = Number(values.blocks);
  if (!Number.isInteger(blocks) || blocks < 1) throw new Error(`--blocks ${values.blocks}: a number from 1`);
  const save = (result: unknown): void => {
    if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(result, null, 2)}\n`);
  };
  const only = values.only?.split(',') ?? null;
  const urls = values['base-url'];
  if (urls !== undefined) {
    const results = await compare(
      {
        urls,
        pids: (values.pid ?? []).map(Number),
        redisUrls: values['redis-url'] ?? [],
        redisPrefix: values['redis-prefix'],
        fakesPort: Number(values['fakes-port']),
        blocks,
        size: values.short ? 'short' : 'exact',
        only,
      },
      console.log,
    );
    save(results);
    return results.some(({ problems }) => problems.length > 0) ? 1 : 0;
  }
  const stores = STORES[values.store];
  if (stores === undefined) throw new Error(`no store ${values.store}: ${Object.keys(STORES).join(', ')}`);
  if (values.short && values.write) throw new Error('--short measures nothing that could be written down');
  if (values.write && values.merge === undefined && (only !== null || values.store !== 'both')) {
    throw new Error('--write wants all figures: without --only and --store, or with --merge FILE');
  }
  const earlier = values.merge === undefined ? null : readResult(values.merge);
  const binary = await ensureBinary();
  const where = circumstances(blocks);
  console.log(`${binary} on ${where.machine}; ${where.versions}; load ${where.load.toFixed(2)}`);
  if (where.load > IDLE_LOAD)
    console.log(`the machine is busy (load ${where.load.toFixed(2)}): do not trust these figures`);
  const started = performance.now();
  const measured = await runSuite({ only, stores, blocks, short: values.short }, console.log);
  const { figures, failures, tried } = earlier === null ? measured : merged(earlier, measured);
  for (const line of ['', ...terminalLines(figures, failures)]) console.log(line);
  console.log(`\n${((performance.now() - started) / 60_000).toFixed(1)} minutes`);
  const goes = [...(earlier?.goes ?? []), where];
  save({ goes, figures, failures, tried });
  if (values.write) {
    const path = join(ROOT, 'docs/performance.md');
    writeFileSync(path, withFigures(readFileSync(path, 'utf8'), markdown(figures, failures, goes)));
  }
  return failures.length === 0 ? 0 : 1;
}

/** What --json writes. */
interface Saved extends SuiteResult {
  /** The runs that the figures are from, oldest first. */
  readonly goes: readonly Circumstances[];
}

/** What --json wrote. Throws when it is something else. */
function readResult(path: string): Saved {
  const { goes, figures, failures, tried } = JSON.parse(readFileSync(path, 'utf8')) as Partial<Saved>; // looked at below
  if (!Array.isArray(goes) || !Array.isArray(figures) || !Array.isArray(failures) || !Array.isArray(tried)) {
    throw new Error(`${path} is not what --json wrote`);
  }
  return { goes, figures, failures, tried };
}

function circumstances(blocks: number): Circumstances {
  const said = (command: readonly string[]) =>
    Bun.spawnSync([...command], { cwd: ROOT, stdout: 'pipe', stderr: 'ignore' })
      .stdout.toString()
      .trim();
  const redis = /v=(\S+)/.exec(said([redisBinary(), '--version']))?.[1] ?? '?';
  const changed = said(['git', 'status', '--porcelain', 'src']) === '' ? '' : '+';
  return {
    date: new Date().toISOString().slice(0, 10),
    commit: `${said(['git', 'rev-parse', '--short', 'HEAD'])}${changed}`,
    machine: `${cpus().length} × ${cpus()[0]?.model ?? '?'}, kernel ${release()}`,
    versions: `Bun ${Bun.version}, Redis ${redis}`,
    load: loadavg()[0] ?? Number.NaN,
    blocks,
    command: `npm run bench${process.argv.length > 2 ? ` -- ${process.argv.slice(2).join(' ')}` : ''}`,
  };
}

if (import.meta.main) process.exit(await main());
