// A TCP proxy that breaks connections the way networks do: at any moment, or between a server's having done something and its
// client's hearing of it. What passes is not understood, only searched.

import { createConnection, createServer, type Socket } from 'node:net';

export interface CuttingProxy {
  readonly port: number;
  /** Where new connections lead. */
  targetPort: number;
  /** Connections that are open. */
  readonly open: number;
  /** Connections since the start. */
  readonly accepted: number;
  /** While true, new connections are closed at once. */
  refusing: boolean;
  /** While true, nothing passes in either direction, and nothing is closed. */
  stuck: boolean;
  /** Replaced in what the server says, by something of the same length. Null: nothing is. */
  replacing: { readonly from: string; readonly to: string } | null;
  /** Breaks every connection. */
  cut(): void;
  /** The connections that are open stay open, and never carry anything again. New ones work. */
  mute(): void;
  /**
   * Lets what the client sends with `text` in it reach the server, swallows the server's next bytes and breaks the connection.
   * Resolves when that has happened.
   */
  cutReplyTo(text: string): Promise<void>;
  /** Breaks the connection before what the client sends with `text` in it. Resolves when that has happened. */
  cutBefore(text: string): Promise<void>;
  /** The last bytes with `text` in them that a client sent. */
  captured(text: string): Buffer | null;
  close(): Promise<void>;
}

interface Pair {
  readonly client: Socket;
  readonly server: Socket;
  /** The reply under way is the one to be lost. */
  doomed: boolean;
  /** Nothing passes any more. */
  mute: boolean;
}

interface Trap {
  readonly text: string;
  readonly when: 'before' | 'reply';
  readonly sprung: () => void;
}

/** How many of the clients' latest chunks are kept for `captured`. */
const KEPT_CHUNKS = 64;

/** Starts a proxy on loopback. */
export async function startCuttingProxy(targetPort: number): Promise<CuttingProxy> {
  const pairs = new Set<Pair>();
  let traps: Trap[] = [];
  const chunks: Buffer[] = [];
  let stuck = false;
  let accepted = 0;

  function sever(pair: Pair): void {
    pairs.delete(pair);
    // A reset, as a dying machine or a firewall would send it.
    pair.client.resetAndDestroy();
    pair.server.resetAndDestroy();
  }

  function spring(trap: Trap): void {
    traps = traps.filter((other) => other !== trap);
    trap.sprung();
  }

  function fromClient(pair: Pair, chunk: Buffer): void {
    chunks.push(chunk);
    if (chunks.length > KEPT_CHUNKS) chunks.shift();
    if (pair.mute) return;
    const trap = traps.find(({ text }) => chunk.includes(text));
    if (trap?.when === 'before') {
      sever(pair);
      spring(trap);
      return;
    }
    if (trap !== undefined) pair.doomed = true;
    pass(pair.client, pair.server, chunk);
  }

  function fromServer(pair: Pair, chunk: Buffer): void {
    if (pair.mute) return;
    if (!pair.doomed) {
      pass(pair.server, pair.client, replaced(chunk));
      return;
    }
    sever(pair);
    const trap = traps.find(({ when }) => when === 'reply');
    if (trap !== undefined) spring(trap);
  }

  function replaced(chunk: Buffer): Buffer {
    const { replacing } = proxy;
    if (replacing === null) return chunk;
    return Buffer.from(chunk.toString('latin1').replaceAll(replacing.from, replacing.to), 'latin1');
  }

  const server = createServer((client) => {
    if (proxy.refusing) {
      client.resetAndDestroy();
      return;
    }
    accepted += 1;
    const upstream = createConnection({ host: '127.0.0.1', port: proxy.targetPort });
    const pair: Pair = { client, server: upstream, doomed: false, mute: false };
    pairs.add(pair);
    for (const socket of [client, upstream]) {
      socket.on('error', () => sever(pair));
      socket.on('close', () => sever(pair));
      if (stuck) socket.pause();
    }
    client.on('data', (chunk: Buffer) => fromClient(pair, chunk));
    upstream.on('data', (chunk: Buffer) => fromServer(pair, chunk));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');

  const proxy: CuttingProxy = {
    port: address.port,
    targetPort,
    get open() {
      return pairs.size;
    },
    get accepted() {
      return accepted;
    },
    refusing: false,
    replacing: null,
    get stuck() {
      return stuck;
    },
    set stuck(value) {
      stuck = value;
      for (const { client, server: upstream } of pairs) {
        for (const socket of [client, upstream]) value ? socket.pause() : socket.resume();
      }
    },
    cut() {
      for (const pair of pairs) sever(pair);
    },
    mute() {
      for (const pair of pairs) pair.mute = true;
    },
    cutReplyTo: (text) => new Promise((sprung) => traps.push({ text, when: 'reply', sprung })),
    cutBefore: (text) => new Promise((sprung) => traps.push({ text, when: 'before', sprung })),
    captured: (text) => chunks.findLast((chunk) => chunk.includes(text)) ?? null,
    async close() {
      for (const pair of pairs) sever(pair);
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return proxy;
}

/** Hands bytes on; who sends faster than the other reads is held back. */
function pass(from: Socket, to: Socket, chunk: Buffer): void {
  if (to.destroyed || to.write(chunk)) return;
  from.pause();
  to.once('drain', () => from.resume());
}
