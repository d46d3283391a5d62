// The fake peers of the reference's benchmark (spec 07 §6.2), clean-room: a plugin daemon whose model and tool behave as the
// scenario of each run says, told apart by the credentials, with a ledger per run and `/__bench/*` to prepare and read it. HTTP/1.1 on
// raw TCP, because it shares the machine with what it measures. A text chunk goes out at its own point in time, counted from the
// request; what is due at once is written at once. Not the inner API: only the capacity profile uses it.

import type { Socket } from 'bun';
import { BenchInbox, type BenchRequest } from './bench-http.ts';
import { type Ledger, newLedger } from './bench-ledger.ts';
import { MODEL_DELAY_MS, type Scenario, scenarioOf, TOOL_BYTES, TOOL_DELAY_MS } from './bench-scenarios.ts';
import { startBenchTimer } from './bench-timer.ts';
import { isObject } from './daemon-rules.ts';
import { chunk, eventText, httpChunk, usage } from './daemon-script.ts';

/** A running one. */
export interface BenchDaemon {
  readonly url: string;
  readonly port: number;
  stop(): void;
}

/** Bytes on all connections that are not about `/__bench`. */
interface Traffic {
  received: number;
  sent: number;
}

const STREAM_HEAD =
  'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\nTransfer-Encoding: chunked\r\n\r\n';
const STREAM_END = Buffer.from('0\r\n\r\n', 'latin1');

/** One client's connection. What cannot be written yet waits in `outbox`. */
interface Client {
  readonly socket: Socket<Client | undefined>;
  readonly inbox: BenchInbox;
  readonly outbox: Uint8Array[];
  busy: boolean;
  open: boolean;
}

/** Listens on loopback; port 0 (default): any. */
export function startBenchDaemon(port = 0): BenchDaemon {
  const ledgers = new Map<string, Ledger>();
  const traffic: Traffic = { received: 0, sent: 0 };
  const timer = startBenchTimer();
  const listener = Bun.listen<Client | undefined>({
    hostname: '127.0.0.1',
    port,
    socket: {
      open(socket) {
        socket.setNoDelay(true);
        socket.data = { socket, inbox: new BenchInbox(), outbox: [], busy: false, open: true };
      },
      data(socket, bytes) {
        const client = socket.data;
        if (client === undefined) return;
        client.inbox.feed(bytes);
        void serve(client);
      },
      drain(socket) {
        if (socket.data !== undefined) flush(socket.data);
      },
      close(socket) {
        if (socket.data !== undefined) socket.data.open = false;
      },
      error() {},
    },
  });

  async function serve(client: Client): Promise<void> {
    if (client.busy) return;
    client.busy = true;
    for (let request = client.inbox.take(); request !== null && client.open; request = client.inbox.take()) {
      await answer(client, request);
    }
    client.busy = false;
  }

  async function answer(client: Client, request: BenchRequest): Promise<void> {
    const { method, path } = request;
    if (path === '/health' || path.startsWith('/__bench/')) {
      const { status, value } = administered(request);
      whole(client, status, value);
      return;
    }
    traffic.received += request.bytes;
    const kind = /^\/plugin\/[^/]+\/dispatch\/(llm|tool)\/invoke$/.exec(path)?.[1];
    if (kind === undefined || method !== 'POST') {
      whole(client, 404, { message: `no route ${method} ${path}` });
      return;
    }
    const data = isObject(request.body) && isObject(request.body.data) ? request.body.data : {};
    const credentials = isObject(data.credentials) ? data.credentials : {};
    const ledger = ledgers.get(String(credentials.benchmark_run_id));
    const scenario = ledger === undefined ? undefined : scenarioOf(ledger.scenario_id);
    if (ledger === undefined || scenario === undefined) {
      whole(client, 404, { message: 'unknown benchmark run' });
      return;
    }
    if (credentials.scenario_id !== scenario.id || credentials.scenario_version !== scenario.version) {
      // Also when the number came as text: credentials pass through unchanged.
      ledger.refusals.push(`credentials ${JSON.stringify(credentials)}`);
      whole(client, 409, { message: 'the credentials are not those of the prepared run' });
      return;
    }
    await (kind === 'tool' ? tool(client, ledger, request) : model(client, ledger, scenario, request));
  }

  function administered({ method, path, body }: BenchRequest): { readonly status: number; readonly value: unknown } {
    if (path === '/health') return { status: 200, value: { status: 'ok' } };
    if (method === 'GET' && path === '/__bench/traffic') return { status: 200, value: traffic };
    const asked = /^\/__bench\/ledgers\/([^/]+)$/.exec(path)?.[1];
    const ledger = asked === undefined ? undefined : ledgers.get(decodeURIComponent(asked));
    if (method === 'GET' && ledger !== undefined) return { status: 200, value: ledger };
    if (method === 'POST' && path === '/__bench/reset') {
      ledgers.clear();
      traffic.received = 0;
      traffic.sent = 0;
      return { status: 200, value: {} };
    }
    if (method !== 'POST' || path !== '/__bench/prepare')
      return { status: 404, value: { message: `nothing at ${path}` } };
    const wish = isObject(body) ? body : {};
    const scenario = scenarioOf(String(wish.scenario_id));
    if (scenario === undefined || scenario.version !== wish.scenario_version || !wish.benchmark_run_id) {
      return { status: 422, value: { message: 'benchmark_run_id, scenario_id, scenario_version' } };
    }
    const runId = String(wish.benchmark_run_id);
    ledgers.set(runId, newLedger(runId, scenario));
    return { status: 200, value: {} };
  }

  async function model(client: Client, ledger: Ledger, scenario: Scenario, request: BenchRequest): Promise<void> {
    const round = ledger.model_calls + 1;
    if (round > scenario.modelRounds) {
      ledger.refusals.push(`round ${round} of ${scenario.modelRounds}`);
      whole(client, 409, { message: 'more rounds than planned' });
      return;
    }
    ledger.model_calls = round;
    const first = request.at + MODEL_DELAY_MS;
    await timer.at(first);
    const isLast = round === scenario.modelRounds;
    const frames = isLast ? textFrames(scenario.chunks) : [toolCallFrame(round)];
    let written = 0;
    while (written < frames.length && client.open) {
      const due =
        scenario.gapMs === 0 ? frames.length : dueBy(performance.now() - first, scenario.gapMs, frames.length);
      if (due > written) {
        const head = written === 0 ? [Buffer.from(STREAM_HEAD, 'latin1')] : [];
        send(client, Buffer.concat([...head, ...frames.slice(written, due)]));
        if (written === 0) ledger.model_start_latencies_ms.push(performance.now() - request.at);
        written = due;
      }
      if (written < frames.length) await timer.at(first + written * scenario.gapMs);
    }
    if (!client.open) return;
    // Counted before the client can act on the end.
    ledger.stream_items += frames.length;
    if (isLast) ledger.text_chunks += frames.length;
    send(client, STREAM_END);
  }

  async function tool(client: Client, ledger: Ledger, request: BenchRequest): Promise<void> {
    await timer.at(request.at + TOOL_DELAY_MS);
    ledger.tool_calls += 1;
    ledger.tool_bytes += TOOL_BYTES;
    send(client, Buffer.concat([Buffer.from(STREAM_HEAD, 'latin1'), TOOL_FRAME, STREAM_END]));
  }

  function send(client: Client, bytes: Uint8Array): void {
    traffic.sent += bytes.length;
    write(client, bytes);
  }

  return {
    url: `http://127.0.0.1:${listener.port}`,
    port: listener.port,
    stop() {
      listener.stop(true);
      timer.stop();
    },
  };
}

/** How many chunks are due so long after the first one. */
function dueBy(sinceFirstMs: number, gapMs: number, all: number): number {
  return Math.min(all, Math.max(0, Math.floor(sinceFirstMs / gapMs) + 1));
}

function frame(data: unknown): Buffer {
  return Buffer.from(httpChunk(Buffer.from(eventText({ code: 0, message: 'ok', data }))));
}

const TOOL_FRAME = frame({ type: 'text', message: { text: 'x'.repeat(TOOL_BYTES) } });

function toolCallFrame(round: number): Buffer {
  const call = {
    id: `benchmark-tool-call-${round}`,
    type: 'function',
    function: { name: 'benchmark_tool', arguments: '{"query":"benchmark"}' },
  };
  return frame(chunk({ tool_calls: [call], finish_reason: 'tool_calls' }));
}

/** So many chunks of `x`; the last one says so and what it cost: 15 tokens, for nothing. */
function textFrames(count: number): readonly Buffer[] {
  const prices = Object.fromEntries(
    ['prompt_unit_price', 'prompt_price', 'completion_unit_price', 'completion_price', 'total_price'].map((name) => [
      name,
      '0',
    ]),
  );
  const last = chunk({ content: 'x', finish_reason: 'stop', usage: { ...usage(10, 5), ...prices } });
  const text = frame(chunk({ content: 'x' }));
  return [...new Array<Buffer>(count - 1).fill(text), frame(last)];
}

function whole(client: Client, status: number, value: unknown): void {
  const body = Buffer.from(JSON.stringify(value));
  const head = `HTTP/1.1 ${status} X\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n`;
  write(client, Buffer.concat([Buffer.from(head, 'latin1'), body]));
}

function write(client: Client, bytes: Uint8Array): void {
  if (!client.open) return;
  client.outbox.push(bytes);
  if (client.outbox.length === 1) flush(client);
}

function flush(client: Client): void {
  for (let first = client.outbox[0]; first !== undefined && client.open; first = client.outbox[0]) {
    const written = Math.max(0, client.socket.write(first));
    if (written < first.length) {
      client.outbox[0] = first.subarray(written);
      return;
    }
    client.outbox.shift();
  }
}

// A process of its own: prints its address. Argument: the port.
if (import.meta.main) console.log(startBenchDaemon(Number(process.argv[2] ?? 0)).url);
