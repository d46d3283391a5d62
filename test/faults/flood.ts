// A plugin daemon that never stops talking: it answers every request with the same bytes again and again, as fast as they are
// taken, up to a limit. Holds nothing in memory but one piece.

import type { Socket } from 'bun';
import { httpChunk } from '../fakes/plugin-daemon.ts';

/** A running flood. */
export interface Flood {
  readonly url: string;
  /** Bytes of pieces that left for clients. */
  readonly sent: number;
  /** Connections that are open. */
  readonly open: number;
  stop(): void;
}

interface Stream {
  left: number;
  /** What of the current piece has not been written. */
  rest: Uint8Array;
}

/** Starts one; each answer is `pieces` times `piece`, then it is silent. */
export function startFlood(piece: Uint8Array, pieces: number): Flood {
  const framed = httpChunk(piece);
  let sent = 0;
  let open = 0;

  function pour(socket: Socket<Stream>): void {
    const stream = socket.data;
    for (;;) {
      if (stream.rest.length === 0) {
        if (stream.left === 0) return;
        stream.left -= 1;
        stream.rest = framed;
      }
      const written = socket.write(stream.rest);
      if (written <= 0) return;
      sent += written;
      stream.rest = stream.rest.subarray(written);
      if (stream.rest.length > 0) return;
    }
  }

  const listener = Bun.listen<Stream>({
    hostname: '127.0.0.1',
    port: 0,
    socket: {
      open(socket) {
        open += 1;
        socket.data = { left: 0, rest: new Uint8Array() };
      },
      data(socket, bytes) {
        // Requests are small and come in one piece; only their beginning matters.
        if (!bytes.subarray(0, 5).equals(Buffer.from('POST '))) return;
        socket.data = { left: pieces, rest: HEAD };
        pour(socket);
      },
      drain: pour,
      close() {
        open -= 1;
      },
      error() {},
    },
  });
  return {
    url: `http://127.0.0.1:${listener.port}`,
    get sent() {
      return sent;
    },
    get open() {
      return open;
    },
    stop: () => listener.stop(true),
  };
}

const HEAD = Buffer.from(
  'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n',
  'latin1',
);
