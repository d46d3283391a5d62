// Reads one long SSE stream and counts its frames, doing nothing else with it: for streams that are as fast as the server can.

/** What was counted. */
export interface Counted {
  readonly frames: number;
  readonly bytes: number;
  readonly seconds: number;
}

/** The end of a chunked answer. */
const LAST_CHUNK = Buffer.from('\r\n0\r\n\r\n');
/** What a frame has exactly once. */
const FRAME = Buffer.from('\nevent: ');
/** Bytes that are remembered of what came before: one less than a frame's mark, which may be torn apart; as many as the end has. */
const TAIL = FRAME.length - 1;

/** Reads a chunked answer to its end. Rejects when the server ends it early. */
export async function readFrames(url: string, path: string): Promise<Counted> {
  const { hostname, port } = new URL(url);
  const done = Promise.withResolvers<void>();
  let frames = 0;
  let bytes = 0;
  /** The end of what came before: what we look for may be torn apart. */
  let tail = Buffer.alloc(0);
  const started = performance.now();
  const socket = await Bun.connect({
    hostname,
    port: Number(port),
    socket: {
      data(_, piece) {
        bytes += piece.length;
        if (Buffer.concat([tail, piece.subarray(0, TAIL)]).includes(FRAME)) frames += 1;
        for (let at = piece.indexOf(FRAME); at >= 0; at = piece.indexOf(FRAME, at + FRAME.length)) frames += 1;
        tail = Buffer.concat([tail, piece.subarray(-TAIL)]).subarray(-TAIL);
        if (tail.equals(LAST_CHUNK)) done.resolve();
      },
      close: () => done.reject(new Error('the stream ended early')),
      error: (_, error) => done.reject(error),
    },
  });
  socket.write(`GET ${path} HTTP/1.1\r\nHost: bench\r\nAccept: text/event-stream\r\n\r\n`);
  await done.promise;
  const seconds = (performance.now() - started) / 1000;
  socket.terminate();
  return { frames, bytes, seconds };
}
