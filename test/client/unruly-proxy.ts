// A proxy that treats connections the way bad networks and bad proxies do, each by chance: refuses, delays (so that a later
// connection comes before an earlier one), answers 502, falls silent, breaks or ends in the middle of anything, and serves a
// stream from an older cursor than was asked for, so that events come twice.

import { createConnection, createServer, type Socket } from 'node:net';

export interface UnrulyProxy {
  readonly url: string;
  /** How many connections met which fate. */
  readonly fates: Readonly<Record<Fate, number>>;
  close(): Promise<void>;
}

export type Fate = 'passed' | 'refused' | 'answered 502' | 'muted' | 'broken' | 'ended' | 'repeated';

export interface Unruliness {
  readonly targetPort: number;
  /** The same seed, the same sequence of fates. */
  readonly seed: number;
  /** The longest that a connection waits before it is taken on, ms. */
  readonly maxDelayMs: number;
  /** The most bytes that pass before a break. */
  readonly maxBytes: number;
}

/** Of a hundred connections. */
const CHANCES: readonly (readonly [Fate, number])[] = [
  ['refused', 10],
  ['answered 502', 5],
  ['muted', 3],
  ['broken', 30],
  ['ended', 15],
  ['repeated', 27],
  ['passed', 10],
];

/** Starts a proxy on loopback. */
export async function startUnrulyProxy({ targetPort, seed, maxDelayMs, maxBytes }: Unruliness): Promise<UnrulyProxy> {
  const sockets = new Set<Socket>();
  const timers = new Set<ReturnType<typeof setTimeout>>();
  const fates: Record<Fate, number> = {
    passed: 0,
    refused: 0,
    'answered 502': 0,
    muted: 0,
    broken: 0,
    ended: 0,
    repeated: 0,
  };
  let state = seed;
  const random = (below: number): number => {
    // Numerical Recipes' congruence; the high bits are the good ones.
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
  const draw = (): Fate => {
    let left = random(100);
    for (const [fate, chance] of CHANCES) {
      if (left < chance) return fate;
      left -= chance;
    }
    return 'passed';
  };
  const keep = (socket: Socket): Socket => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    return socket;
  };

  const server = createServer((client) => {
    keep(client);
    client.on('error', () => client.destroy());
    client.pause();
    const fate = draw();
    fates[fate] += 1;
    const timer = setTimeout(() => {
      timers.delete(timer);
      if (!client.destroyed) meet(fate, client);
    }, random(maxDelayMs));
    timers.add(timer);
  });

  function meet(fate: Fate, client: Socket): void {
    if (fate === 'refused') return void client.resetAndDestroy();
    if (fate === 'answered 502') {
      return void client.end('HTTP/1.1 502 Bad Gateway\r\ncontent-length: 4\r\nconnection: close\r\n\r\noops');
    }
    const upstream = keep(createConnection({ host: '127.0.0.1', port: targetPort }));
    upstream.on('error', () => client.destroy());
    client.on('close', () => upstream.destroy());
    client.on('data', (chunk: Buffer) => {
      const request = chunk.toString('latin1');
      // One request on each connection: the next one has a fate of its own.
      const single = request
        .replace(/^(.* HTTP\/1\.1\r\n)/, '$1connection: close\r\n')
        .replace(/\r\nconnection: keep-alive/i, '');
      upstream.write(fate === 'repeated' ? single.replace(/after=[^ &]*/, 'after=0-0') : single, 'latin1');
    });
    client.resume();
    if (fate === 'muted') return;
    let left = fate === 'passed' || fate === 'repeated' ? Number.POSITIVE_INFINITY : 1 + random(maxBytes);
    upstream.on('data', (chunk: Buffer) => {
      const passing = chunk.subarray(0, left);
      left -= passing.length;
      if (!client.write(passing)) {
        upstream.pause();
        client.once('drain', () => upstream.resume());
      }
      if (left > 0) return;
      upstream.destroy();
      if (fate === 'broken') client.resetAndDestroy();
      else client.end();
    });
    upstream.on('end', () => client.end());
  }

  await new Promise<void>((resolve) => server.listen({ port: 0, host: '127.0.0.1', backlog: 2_000 }, resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return {
    url: `http://127.0.0.1:${address.port}`,
    fates,
    async close() {
      for (const timer of timers) clearTimeout(timer);
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
