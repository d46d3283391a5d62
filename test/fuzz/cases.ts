// One case: a random request and random answers of the daemon, played through the binary; then what the run left is
// resumed or cleaned up. A case that finds something throws, with the seed that plays it again.

import { chunk, type FakeDaemon, lastItem, type Reply, toolCallItem } from '../fakes/plugin-daemon.ts';
import { at, type JsonNode, readJson, textOf } from '../support/json-nodes.ts';
import { get, post } from '../support/runs.ts';
import type { TestServer } from '../support/server.ts';
import { readSse, type SseFrame } from '../support/sse.ts';
import { within } from '../support/until.ts';
import { mutated, validRequest } from './compositions.ts';
import { violation } from './invariants.ts';
import { seeded } from './random.ts';
import { randomScript } from './streams.ts';

/** Where cases are played. */
export interface FuzzTarget {
  readonly server: TestServer;
  readonly daemon: FakeDaemon;
}

/** `valid`: only the daemon is random. `mutated`: the body is, too. */
export type CaseKind = 'valid' | 'mutated';

/** How the cases of a batch ended, by status or terminal type. */
export type Tally = Map<string, number>;

/** Longer than any run of a case may take: the daemon's read time-out is shorter (fuzz.test.ts, run.ts). */
const RUN_TIMEOUT_MS = 15_000;
/** Everything else would be a bug of ours. */
const STATUSES = [202, 400, 422];
const PARALLEL = 8;

/** Settings of a server that is fuzzed. */
export const FUZZ_ENV = {
  DIFY_AGENT_PLUGIN_DAEMON_READ_TIMEOUT: '3',
} as const;

/** Plays `count` cases from `firstSeed` on, some side by side. */
export async function playCases(
  target: FuzzTarget,
  kind: CaseKind,
  firstSeed: number,
  count: number,
  tally: Tally,
): Promise<void> {
  let next = firstSeed;
  const slot = async (_: unknown, index: number): Promise<void> => {
    while (next < firstSeed + count) {
      const seed = next;
      next += 1;
      try {
        const ended = await playCase(target, kind, seed, `fuzz-${index}`);
        tally.set(ended, (tally.get(ended) ?? 0) + 1);
      } catch (error) {
        throw new Error(`${kind} case ${seed}: ${error instanceof Error ? error.message : error}`, { cause: error });
      }
    }
  };
  await Promise.all(Array.from({ length: PARALLEL }, slot));
  const complaints = target.daemon.violations.filter(
    (line) => kind === 'valid' && !line.startsWith('no reply scripted'),
  );
  if (complaints.length > 0) throw new Error(`the daemon complains after case ${firstSeed}: ${complaints[0]}`);
  const said = target.server.stderrLines.filter((line) =>
    /unhandled|scheduled run failed|unexpected error|cannot be written/.test(line),
  );
  if (said.length > 0) throw new Error(`the server said after case ${firstSeed}: ${said[0]}`);
  if ((await get(`${target.server.url}/healthz`)).status !== 200) throw new Error('the server is gone');
}

async function playCase({ server, daemon }: FuzzTarget, kind: CaseKind, seed: number, key: string): Promise<string> {
  const random = seeded(seed);
  const request = validRequest(random, key);
  daemon.play(randomScript(random), key);
  const body = kind === 'valid' ? JSON.stringify(request) : mutated(random, request);
  const response = await within('the answer to POST', post(server.url, body), RUN_TIMEOUT_MS);
  const text = await response.text();
  if (!STATUSES.includes(response.status)) throw new Error(`POST /runs answered ${response.status} ${text}`);
  if (kind === 'valid' && response.status !== 202)
    throw new Error(`refused a valid request: ${response.status} ${text}`);
  const answer = readJson(text);
  if (response.status !== 202) return String(response.status);

  const end = await follow(server.url, textOf(at(answer, 'run_id')) ?? '');
  if (kind === 'valid' && end.event === 'run_succeeded') {
    if (random.chance(0.5)) await resume(server, daemon, request, end, key);
    else await cleanUp(server, request, end);
  }
  return end.data.includes('"deferred_tool_call":') ? 'deferred' : end.event;
}

/** Reads a run to its end and checks what must hold. Returns the terminal frame. */
async function follow(url: string, runId: string): Promise<SseFrame> {
  const { frames } = await within(`the end of run ${runId}`, readSse(url, runId), RUN_TIMEOUT_MS);
  const found = violation(frames);
  if (found !== null) throw new Error(`run ${runId} ${found}`);
  const end = frames.at(-1);
  const status = textOf(at(readJson((await get(`${url}/runs/${runId}`)).text), 'status'));
  if (end === undefined || end.event !== `run_${status}`) throw new Error(`status ${status} after ${end?.event}`);
  return end;
}

type Request = ReturnType<typeof validRequest>;

/** The next turn on what a run left, or the answer to its question: with a good model it must succeed. */
async function resume(
  server: TestServer,
  daemon: FakeDaemon,
  request: Request,
  end: SseFrame,
  key: string,
): Promise<void> {
  const { layers } = request.composition as { readonly layers: readonly { readonly name: string }[] }; // ours
  const names = layers.map(({ name }) => name);
  const data = at(readJson(end.data), 'data');
  const snapshot = at(data, 'session_snapshot');
  if (snapshot === undefined || snapshot.source.includes('"closed"') || !names.includes('history')) return;
  daemon.play({ llm: [goodReply(names.includes('output'))] }, key);
  const pending = textOf(at(data, 'deferred_tool_call', 'tool_call_id'));
  const results = pending === undefined ? 'null' : `{"calls":{${JSON.stringify(pending)}:{"values":{"n":1.0}}}}`;
  const { session_snapshot: _, deferred_tool_results: __, ...rest } = request;
  const text = JSON.stringify(rest);
  const body = `${text.slice(0, -1)},"session_snapshot":${snapshot.source},"deferred_tool_results":${results}}`;
  await mustSucceed(server, body, 'resuming');
}

function goodReply(structured: boolean): Reply {
  const answer = structured ? toolCallItem('out', 'final_output', '{"answer":1}') : { data: chunk({ content: 'ok' }) };
  return [answer, lastItem()];
}

/** Without its model, every snapshot that can be entered can be cleaned up. */
async function cleanUp(server: TestServer, request: Request, end: SseFrame): Promise<void> {
  const composition = request.composition as { readonly layers: readonly { readonly name: string }[] }; // ours
  const snapshot = at(readJson(end.data), 'data', 'session_snapshot');
  if (snapshot === undefined || snapshot.source.includes('"closed"')) return;
  const left = withoutModel(snapshot);
  const layers = composition.layers.filter(({ name }) => name !== 'llm');
  const body = JSON.stringify({ composition: { layers }, on_exit: { default: 'delete' } });
  await mustSucceed(server, `${body.slice(0, -1)},"session_snapshot":${left}}`, 'cleaning up');
}

function withoutModel(snapshot: JsonNode): string {
  const layers = at(snapshot, 'layers');
  const kept = layers?.kind === 'array' ? layers.items.filter((layer) => textOf(at(layer, 'name')) !== 'llm') : [];
  return `{"schema_version":1,"layers":[${kept.map(({ source }) => source).join(',')}]}`;
}

async function mustSucceed(server: TestServer, body: string, doing: string): Promise<void> {
  const response = await post(server.url, body);
  const text = await response.text();
  if (response.status !== 202) throw new Error(`${doing}: ${response.status} ${text}`);
  const end = await follow(server.url, textOf(at(readJson(text), 'run_id')) ?? '');
  if (end.event !== 'run_succeeded') throw new Error(`${doing} ended with ${end.data}`);
}
