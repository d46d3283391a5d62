// Plays one recorded scenario against a running server and its fake daemon, and lists how the two differ.
// What is compared: the answer to POST, every request to the daemon, every event, the stream's first frames, the page
// of events against the stream, and the final record.

import type { FakeDaemon, RecordedRequest, Reply } from '../fakes/plugin-daemon.ts';
import { at, compact, items, type JsonNode, readJson, textOf } from '../support/json-nodes.ts';
import { get, post } from '../support/runs.ts';
import { readSse, type SseReading } from '../support/sse.ts';
import { checkTime } from '../support/strict-client.ts';
import { within } from '../support/until.ts';
import { Matcher } from './compare.ts';
import type { Scenario, Step } from './fixtures.ts';

/** Headers of a daemon request that are the wire; the others are the HTTP library's. */
const DAEMON_HEADERS = ['x-api-key', 'x-plugin-id', 'content-type'];
const RUN_TIMEOUT_MS = 20_000;

/** What one step looked like here. */
export interface Played {
  readonly runId: string;
  readonly reading: SseReading;
  readonly events: readonly JsonNode[];
  readonly eventKinds: readonly string[];
  readonly status: JsonNode;
  readonly llmRequests: readonly RecordedRequest[];
  readonly toolRequests: readonly RecordedRequest[];
  readonly violations: readonly string[];
}

/** Plays all steps; returns the differences, each with the step it belongs to. */
export async function replay(scenario: Scenario, baseUrl: string, daemon: FakeDaemon): Promise<string[]> {
  const matcher = new Matcher();
  const differences: string[] = [];
  for (const [index, step] of scenario.steps.entries()) {
    const found = await replayStep(step, matcher, baseUrl, daemon);
    differences.push(...found.map((line) => (scenario.steps.length > 1 ? `step ${index}: ${line}` : line)));
  }
  return differences;
}

async function replayStep(step: Step, matcher: Matcher, baseUrl: string, daemon: FakeDaemon): Promise<string[]> {
  matcher.sent += step.request;
  daemon.play(step.script);
  const response = await post(baseUrl, step.request);
  const text = await response.text();
  const created = compareCreate(step, matcher, response.status, text);
  if (created.length > 0) return created;
  const runId = textOf(at(readJson(text), 'run_id')) ?? '';
  const played = await observe(baseUrl, runId, daemon);
  return [
    ...compareDaemon(step, matcher, daemon),
    ...compareEvents(step, matcher, played),
    ...matcher.compare(step.status, played.status, 'status'),
    ...invariants(played, await readPages(baseUrl, runId)),
  ];
}

/** Plays a step without comparing it; `extra` replies follow the recorded ones. */
export async function playStep(
  step: Step,
  baseUrl: string,
  daemon: FakeDaemon,
  extra: readonly Reply[] = [],
): Promise<Played> {
  daemon.play({ ...step.script, llm: [...(step.script.llm ?? []), ...extra] });
  const response = await post(baseUrl, step.request);
  const text = await response.text();
  if (response.status !== 202) throw new Error(`POST /runs: ${response.status} ${text}`);
  const played = await observe(baseUrl, textOf(at(readJson(text), 'run_id')) ?? '', daemon);
  const broken = invariants(played, await readPages(baseUrl, played.runId));
  if (broken.length > 0) throw new Error(broken.join('\n'));
  return played;
}

async function observe(baseUrl: string, runId: string, daemon: FakeDaemon): Promise<Played> {
  const reading = await within(`the end of run ${runId}`, readSse(baseUrl, runId), RUN_TIMEOUT_MS);
  const events = reading.frames.map((frame) => readJson(frame.data));
  return {
    runId,
    reading,
    events,
    eventKinds: events.map(kindOf),
    status: readJson((await get(`${baseUrl}/runs/${runId}`)).text),
    llmRequests: [...daemon.llmRequests],
    toolRequests: [...daemon.toolRequests],
    violations: [...daemon.violations],
  };
}

/** As the traces' `event_kinds`: the type, or the kind of a stream event. */
export function kindOf(event: JsonNode): string {
  return textOf(at(event, 'data', 'event_kind')) ?? textOf(at(event, 'type')) ?? '';
}

function compareCreate(step: Step, matcher: Matcher, status: number, text: string): string[] {
  const expected = at(step.create, 'status')?.source;
  if (expected !== String(status)) return [`create: ${expected} ≠ ${status} ${text}`];
  const body = at(step.create, 'body');
  return body === undefined ? ['the trace has no create.body'] : matcher.compare(body, readJson(text), 'create');
}

function compareDaemon(step: Step, matcher: Matcher, daemon: FakeDaemon): string[] {
  return [
    ...compareRequests('llm_requests', step.llmRequests, daemon.llmRequests, matcher),
    ...compareRequests('tool_requests', step.toolRequests, daemon.toolRequests, matcher),
    ...daemon.violations.map((violation) => `the daemon complains: ${violation}`),
  ];
}

function compareRequests(
  what: string,
  recorded: readonly JsonNode[],
  ours: readonly RecordedRequest[],
  matcher: Matcher,
): string[] {
  if (recorded.length !== ours.length) return [`${what}: ${recorded.length} ≠ ${ours.length} requests`];
  return ours.flatMap((request, index) => {
    const expected = recorded[index];
    const line = (label: string, a: string | undefined, b: string | undefined) =>
      a === b ? [] : [`${what}[${index}].${label}: ${a} ≠ ${b}`];
    const body = at(expected, 'body');
    return [
      ...line('method', textOf(at(expected, 'method')), request.method),
      ...line('path', textOf(at(expected, 'path')), request.path),
      ...DAEMON_HEADERS.flatMap((name) => line(name, textOf(at(expected, 'headers', name)), request.headers[name])),
      ...(body === undefined ? [] : matcher.compare(body, readJson(request.bodyText), `${what}[${index}].body`)),
    ];
  });
}

function compareEvents(step: Step, matcher: Matcher, played: Played): string[] {
  const kinds = [step.eventKinds.join(' '), played.eventKinds.join(' ')];
  if (kinds[0] !== kinds[1]) {
    const error = textOf(at(played.events.at(-1), 'data', 'error'));
    return [`events: ${kinds[0]} ≠ ${kinds[1]}${error === undefined ? '' : ` (${error})`}`];
  }
  const events = step.events.flatMap((event, index) => {
    const ours = played.events[index];
    return ours === undefined ? [] : matcher.compare(readJson(escapeBreaks(event.source)), ours, `events[${index}]`);
  });
  const frames = step.firstFrames.flatMap((frame, index) =>
    matcher.compareText(escapeBreaks(frame), played.reading.frames[index]?.raw ?? '', `frames[${index}]`),
  );
  return [...events, ...frames];
}

/** The reference writes these characters raw; every stream of ours escapes them (spec README "Better on purpose"). */
function escapeBreaks(text: string): string {
  return text.replace(
    /[\u0085\u2028\u2029]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

async function readPages(baseUrl: string, runId: string): Promise<readonly string[]> {
  const all: string[] = [];
  let cursor = '0-0';
  for (;;) {
    const page = readJson((await get(`${baseUrl}/runs/${runId}/events?limit=500&after=${cursor}`)).text);
    const events = items(at(page, 'events'));
    all.push(...events.map(compact));
    const next = textOf(at(page, 'next_cursor'));
    if (events.length === 0 || next === undefined) return all;
    cursor = next;
  }
}

/** What must hold in every run, whatever was recorded. */
function invariants(played: Played, page: readonly string[]): string[] {
  const broken: string[] = [];
  const frames = played.reading.frames.map((frame) => frame.data);
  if (frames.join('\n') !== page.join('\n')) broken.push('the page of events differs from the stream');
  if (played.reading.headers.get('content-type') !== 'text/event-stream; charset=utf-8') {
    broken.push(`content-type of the stream: ${played.reading.headers.get('content-type')}`);
  }
  let last: readonly [bigint, bigint] = [0n, -1n];
  for (const frame of played.reading.frames) {
    const [ms = 0n, sequence = 0n] = frame.id.split('-').map(BigInt);
    if (ms < last[0] || (ms === last[0] && sequence <= last[1])) broken.push(`${frame.id} follows ${last.join('-')}`);
    last = [ms, sequence];
  }
  const [created, updated] = ['created_at', 'updated_at'].map((key) => textOf(at(played.status, key)) ?? '');
  checkTime('created_at', created);
  checkTime('updated_at', updated);
  if (Date.parse(updated ?? '') < Date.parse(created ?? ''))
    broken.push(`updated ${updated} before created ${created}`);
  const runIds = new Set(played.events.map((event) => textOf(at(event, 'run_id'))));
  if (runIds.size !== 1 || !runIds.has(played.runId)) broken.push(`run ids in events: ${[...runIds].join(', ')}`);
  return broken;
}
