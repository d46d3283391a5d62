// `ready`: whether a server takes runs, for whatever supervises it: systemd, the health check of a container, a script. It
// asks `/readyz`, which needs no token, and has no need of a shell or of curl, which a container without a system lacks.

import { parseArgs } from 'node:util';
import { errorText } from '../base/errors.ts';
import { DEFAULT_URL, EXIT, type Io } from './io.ts';
import { printable } from './render.ts';

/** The pause between two questions, ms. */
const PAUSE_MS = 100;
/** How long one answer may take, ms: `/readyz` asks the store. */
const ANSWER_MS = 5_000;
/** The longest `--wait`, seconds. */
const MAX_WAIT_SECONDS = 3_600;
/** Of an answer, characters. */
const MAX_SAID = 500;

const USAGE = 'ready [URL] [--wait SECONDS]';

/** Exit code 0: the server is ready; 1: it is not, or not within `--wait` seconds (default 0: one look). */
export async function readyCommand(io: Io): Promise<number> {
  const words = readWords(io);
  if ('problem' in words) {
    await io.complain(`${printable(words.problem)}. Usage: dify-agent ${USAGE}`);
    return EXIT.usage;
  }
  const { url, waitMs } = words;
  const deadline = performance.now() + waitMs;
  for (;;) {
    const problem = await problemOf(url);
    if (problem === null) return EXIT.ok;
    const left = deadline - performance.now();
    if (left <= 0) {
      await io.complain(printable(`not ready: ${url}: ${problem}`));
      return EXIT.failed;
    }
    await Bun.sleep(Math.min(PAUSE_MS, left));
  }
}

type Words = { readonly url: string; readonly waitMs: number } | { readonly problem: string };

function readWords({ args, env }: Io): Words {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      options: { wait: { type: 'string', default: '0' } },
      allowPositionals: true,
    });
    const [given = env.DIFY_AGENT_URL?.trim() || DEFAULT_URL, ...more] = positionals;
    const base = URL.parse(given);
    const seconds = /^\d+(?:\.\d+)?$/.test(values.wait) ? Number(values.wait) : Number.NaN;
    if (more.length > 0) return { problem: `expected at most 1 argument, got ${positionals.length}` };
    if (base === null || !/^https?:$/.test(base.protocol)) return { problem: 'URL must be an http:// or https:// URL' };
    if (!(seconds <= MAX_WAIT_SECONDS)) return { problem: `--wait must be seconds, 0 to ${MAX_WAIT_SECONDS}` };
    return { url: `${base.origin}${base.pathname.replace(/\/+$/, '')}/readyz`, waitMs: seconds * 1000 };
  } catch (error) {
    return { problem: errorText(error) };
  }
}

/** Null: it is ready. */
async function problemOf(url: string): Promise<string | null> {
  try {
    // Proxy variables are for other traffic (design §4).
    const answer = await fetch(url, { redirect: 'manual', signal: AbortSignal.timeout(ANSWER_MS), proxy: false });
    const said = (await answer.text()).slice(0, MAX_SAID);
    return answer.status === 200 ? null : `${answer.status} ${said}`;
  } catch (error) {
    return errorText(error);
  }
}
