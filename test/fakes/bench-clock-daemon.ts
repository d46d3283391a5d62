// A plugin daemon that writes the time into every chunk, for measuring how long an event is under way: `@<ms since 1970>`, taken
// just before the write, one write per chunk, at an even pace. It answers nothing until `POST /open`, so that all readers are there;
// then the streams begin spread over one gap. A process of its own; arguments: streams, chunks per stream, gap in ms.

import type { Socket } from 'bun';
import { BenchInbox } from './bench-http.ts';
import { startBenchTimer } from './bench-timer.ts';
import { chunk, eventText, httpChunk, lastItem, success } from './daemon-script.ts';

const HEAD =
  'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\nTransfer-Encoding: chunked\r\n\r\n';
const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n';
/** Replaced by the time; as long as what replaces it. */
const PLACE = '0000000000000.000';

/** The wall clock with microseconds, the same in all processes of a machine. */
export function preciseNow(): number {
  return performance.timeOrigin + performance.now();
}

interface Client {
  readonly inbox: BenchInbox;
  closed: boolean;
}

function serve(streams: number, chunks: number, gapMs: number): void {
  const timer = startBenchTimer();
  const gate = Promise.withResolvers<void>();
  const [before = '', after = ''] = eventText(success(chunk({ content: `@${PLACE}` }))).split(PLACE);
  const last = lastItem();
  const end = typeof last === 'object' && 'data' in last ? eventText(success(last.data)) : '';
  let begun = 0;

  async function play(socket: Socket<Client>): Promise<void> {
    const phase = (begun++ * gapMs) / streams;
    await gate.promise;
    const first = performance.now() + phase;
    socket.write(HEAD);
    for (let sent = 0; sent < chunks && !socket.data.closed; sent += 1) {
      await timer.at(first + sent * gapMs);
      socket.write(httpChunk(Buffer.from(`${before}${preciseNow().toFixed(3)}${after}`)));
    }
    if (!socket.data.closed) socket.write(Buffer.concat([httpChunk(Buffer.from(end)), Buffer.from('0\r\n\r\n')]));
  }

  const listener = Bun.listen<Client>({
    hostname: '127.0.0.1',
    port: 0,
    socket: {
      open(socket) {
        socket.setNoDelay(true);
        socket.data = { inbox: new BenchInbox(), closed: false };
      },
      data(socket, bytes) {
        socket.data.inbox.feed(bytes);
        const request = socket.data.inbox.take();
        if (request?.path === '/open') {
          gate.resolve();
          socket.write(OK);
        } else if (request !== null) void play(socket);
      },
      close(socket) {
        socket.data.closed = true;
      },
      error() {},
    },
  });
  console.log(`http://127.0.0.1:${listener.port}`);
}

if (import.meta.main) {
  const [streams = 1, chunks = 1, gapMs = 1] = process.argv.slice(2).map(Number);
  serve(streams, chunks, gapMs);
}
