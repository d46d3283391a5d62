// What reading an event costs the client: `npx bun test/bench/client.ts`, or bundled for Node. Processor time, not wall time,
// so that a busy machine does not count; medians of ROUNDS blocks. `parse` is everything from the bytes of a response to a
// checked event; `stream` is the same through streamEvents, with its iteration, time-outs and cursor.

import { Client } from '../../src/client/client.ts';
import { isBehind } from '../../src/client/cursor.ts';
import { readEvent } from '../../src/client/parse.ts';
import { FrameReader } from '../../src/client/sse.ts';
import { delta, frame } from '../client/events.ts';

/** What an event may cost, µs (issue 8). */
export const MOST_MICROSECONDS = 3;

const ROUNDS = 15;
/** As large as sockets hand them out. */
const CHUNK_BYTES = 16 * 1024;

export interface ClientFigure {
  readonly name: string;
  /** µs of processor time for each event. */
  readonly parse: number;
  readonly stream: number;
}

const call = { tool_name: 'weather', args: '{"city":"Oslo"}', tool_call_id: 'call_01HZXW3', part_kind: 'tool-call' };
const provided = { id: null, provider_name: null, provider_details: null };
const result = { tool_name: 'weather', content: { celsius: 4 }, tool_call_id: 'call_01HZXW3', metadata: null };

const KINDS: Readonly<Record<string, (id: string, index: number) => string>> = {
  'text deltas': (id, index) => delta(id, `hello wor${index % 10}`),
  'tool calls and results': (id, index) =>
    index % 2 === 0
      ? frame(id, 'pydantic_ai_event', {
          part: { ...call, ...provided },
          args_valid: true,
          event_kind: 'function_tool_call',
        })
      : frame(id, 'pydantic_ai_event', {
          result: { ...result, timestamp: '2026-06-02T08:15:30.209551Z', part_kind: 'tool-return' },
          content: null,
          event_kind: 'function_tool_result',
        }),
};

/** All figures. `events` of each kind in a block. */
export async function clientFigures(events: number, rounds = ROUNDS): Promise<readonly ClientFigure[]> {
  const figures: ClientFigure[] = [];
  for (const [kind, make] of Object.entries(KINDS)) {
    const encoder = new TextEncoder();
    const frames = Array.from({ length: events }, (_, index) => make(`${1_780_388_130_204 + index}-0`, index));
    const whole = encoder.encode(frames.join(''));
    const pieces = Array.from({ length: Math.ceil(whole.length / CHUNK_BYTES) }, (_, index) =>
      whole.subarray(index * CHUNK_BYTES, (index + 1) * CHUNK_BYTES),
    );
    const ways = { 'as they come': frames.map((text) => encoder.encode(text)), replayed: pieces };
    for (const [way, chunks] of Object.entries(ways)) {
      figures.push({
        name: `${kind}, ${way}`,
        parse: await cost(events, rounds, async () => parseAll(chunks)),
        stream: await cost(events, rounds, () => streamAll(chunks)),
      });
    }
  }
  return figures;
}

/** The median of the blocks' processor times, µs for each event; each block must read them all. */
async function cost(events: number, rounds: number, block: () => Promise<number>): Promise<number> {
  const costs: number[] = [];
  // The first third warms up.
  for (let round = -rounds / 2; round < rounds; round += 1) {
    const before = process.cpuUsage();
    const read = await block();
    const { user, system } = process.cpuUsage(before);
    if (read !== events) throw new Error(`${read} events of ${events}`);
    if (round >= 0) costs.push((user + system) / events);
  }
  return costs.sort((a, b) => a - b)[Math.floor(costs.length / 2)] ?? Number.NaN;
}

function parseAll(chunks: readonly Uint8Array[]): number {
  const decoder = new TextDecoder();
  const reader = new FrameReader();
  let cursor = '0-0';
  let read = 0;
  for (const chunk of chunks) {
    for (const { id, data } of reader.push(decoder.decode(chunk, { stream: true }))) {
      const event = readEvent(JSON.parse(data), data, id);
      if (isBehind(event.id, cursor)) continue;
      cursor = event.id;
      read += 1;
    }
  }
  return read;
}

async function streamAll(chunks: readonly Uint8Array[]): Promise<number> {
  let sent = 0;
  const body = () =>
    new ReadableStream<Uint8Array>(
      {
        pull(controller) {
          const chunk = chunks[sent++];
          if (chunk === undefined) controller.close();
          else controller.enqueue(chunk);
        },
      },
      { highWaterMark: 0 },
    );
  const headers = { 'content-type': 'text/event-stream' };
  const client = new Client({ baseUrl: 'http://in.memory', fetch: async () => new Response(body(), { headers }) });
  let read = 0;
  // There is no terminal event: the end of the body is the end of the one connection.
  const options = { maxReconnects: 0 };
  try {
    for await (const _ of client.streamEvents('run-1', options)) read += 1;
  } catch {
    // Says that the stream ended early.
  }
  return read;
}

async function main(): Promise<void> {
  for (const { name, parse, stream } of await clientFigures(20_000)) {
    const verdict = parse < MOST_MICROSECONDS ? 'pass' : 'MISS';
    if (verdict === 'MISS') process.exitCode = 1;
    console.log(
      `${name.padEnd(38)} parse ${parse.toFixed(2)} µs (< ${MOST_MICROSECONDS}: ${verdict}), stream ${stream.toFixed(2)} µs`,
    );
  }
}

if (import.meta.main) void main();
