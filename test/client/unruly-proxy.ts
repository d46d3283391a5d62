// A proxy that treats connections the way bad networks and bad proxies do: refuses them, delays them (so that a later one is
// answered before an earlier one), falls silent, breaks or ends in the middle of anything, repeats what it has said, and asks
// for more than it was asked for. Which connection meets which fate comes from a shuffled deck: the same seed, the same
// sequence, and every fate is met. What is no stream of events passes.

import { createServer, type Socket } from 'node:net';
import { Answer, openUpstream, type ProxiedRequest, readProxied, type Upstream } from './proxied-http.ts';

/** Of a deck of cards, how many each fate has. */
const DECK = {
  passed: 4,
  /** Reset before an answer. */
  refused: 3,
  /** Taken on, and then nothing. */
  unanswered: 1,
  'answered 502': 2,
  'answered 503': 2,
  /** Reset in the middle of a chunk, a frame or a character. */
  broken: 6,
  /** Closed without the end of its chunks. */
  truncated: 4,
  /** Closed as if that were the end, in the middle of anything. */
  ended: 4,
  /** Silent from the middle of something on, but open. */
  stalled: 2,
  /** Answered after a connection that came later. */
  overtaken: 3,
  /** Served from the beginning instead of from the cursor. */
  rewound: 3,
  /** The request is sent again when some of its answer has been passed on, and its answer follows. */
  resent: 3,
  /** Frames that were sent are sent again, between newer ones. */
  stuttered: 3,
  /** Passed on in pieces of one to seven bytes. */
  dribbled: 2,
} as const;

export type Fate = keyof typeof DECK;
export const FATES = Object.keys(DECK) as readonly Fate[]; // the keys of an object literal

export interface UnrulyProxy {
  readonly url: string;
  /** How many streams met which fate. */
  readonly fates: Readonly<Record<Fate, number>>;
  /** The most connections that were open at the same time. */
  readonly mostOpen: number;
  close(): Promise<void>;
}

export interface Unruliness {
  readonly targetPort: number;
  readonly seed: number;
  /** The longest that a connection waits before it is taken on, ms. */
  readonly maxDelayMs: number;
  /** The most bytes that pass before something happens. */
  readonly maxBytes: number;
}

/** The longest that a connection waits to be overtaken, ms. */
const MAX_HOLD_MS = 500;
/** How many of the last frames a stutter repeats at most. */
const MAX_STUTTER = 4;

/** Starts a proxy on loopback. */
export async function startUnrulyProxy(options: Unruliness): Promise<UnrulyProxy> {
  const random = randomOf(options.seed);
  const draw = deckOf(random);
  const fates = Object.fromEntries(FATES.map((fate) => [fate, 0])) as Record<Fate, number>; // every key is there
  const sockets = new Set<Socket>();
  const timers = new Set<ReturnType<typeof setTimeout>>();
  /** Called when a connection has been answered, with its number. */
  const watchers = new Set<(answered: number) => void>();
  let accepted = 0;
  let closed = 0;
  let mostOpen = 0;

  const keep = (socket: Socket): Socket => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    return socket;
  };
  const later = (ms: number): Promise<void> =>
    new Promise((resolve) => {
      const timer = setTimeout(() => {
        timers.delete(timer);
        resolve();
      }, ms);
      timers.add(timer);
    });
  /** Until a connection that came after this one has been answered, or for half a second. */
  const overtaking = (number: number): Promise<void> => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const watch = (answered: number): void => {
      if (answered > number) resolve();
    };
    watchers.add(watch);
    return Promise.race([promise, later(MAX_HOLD_MS)]).finally(() => watchers.delete(watch));
  };

  const server = createServer((client) => {
    keep(client);
    client.on('error', () => client.destroy());
    const number = ++accepted;
    mostOpen = Math.max(mostOpen, number - closed);
    client.on('close', () => {
      closed += 1;
    });
    readProxied(client, (request) => void meet(number, client, request).catch(() => client.destroy()));
  });

  async function meet(number: number, client: Socket, request: ProxiedRequest): Promise<void> {
    const answer = new Answer(client);
    const ask = (asked = request): Promise<Upstream> => openUpstream(options.targetPort, asked, client, keep);
    if (!request.path.includes('/events/sse')) return answer.passOn(await ask());
    const fate = draw();
    fates[fate] += 1;
    await later(random(options.maxDelayMs));
    if (fate === 'refused') return answer.reset();
    if (fate === 'unanswered') return;
    if (fate === 'answered 502') return answer.whole(502, '<h1>Bad Gateway</h1>', { 'content-type': 'text/html' });
    if (fate === 'answered 503') return answer.whole(503, '{"detail":"no"}', { 'retry-after': '0' });
    const upstream = await ask(
      fate === 'rewound' ? { ...request, path: request.path.replace(/after=[^ &]*/, 'after=0-0') } : request,
    );
    if (fate === 'overtaken') await overtaking(number);
    answer.head(upstream, fate === 'ended' ? 'until closed' : 'chunked');
    for (const watch of watchers) watch(number);
    if (fate === 'stuttered') return stutter(answer, upstream);
    if (fate === 'dribbled') return dribble(answer, upstream);
    if (fate === 'resent') return resend(answer, upstream, ask);
    const breaks = fate === 'broken' || fate === 'truncated' || fate === 'ended' || fate === 'stalled';
    let left = breaks ? 1 + random(options.maxBytes) : Number.POSITIVE_INFINITY;
    for await (const piece of upstream.body) {
      await answer.write(piece.subarray(0, left));
      left -= piece.length;
      if (left > 0) continue;
      upstream.close();
      if (fate === 'broken') answer.reset();
      else if (fate !== 'stalled') answer.truncate();
      return;
    }
    answer.end();
  }

  async function stutter(answer: Answer, upstream: Upstream): Promise<void> {
    let recent: readonly Buffer[] = [];
    for await (const frame of upstream.frames()) {
      recent = [...recent.slice(1 - MAX_STUTTER), frame];
      await answer.write(frame);
      if (random(3) === 0) await answer.write(Buffer.concat(recent.slice(-1 - random(MAX_STUTTER))));
    }
    answer.end();
  }

  async function dribble(answer: Answer, upstream: Upstream): Promise<void> {
    let left = options.maxBytes;
    for await (const piece of upstream.body) {
      for (let from = 0, to = 0; from < piece.length; from = to) {
        // Not for ever: each costs a write.
        to = left > 0 ? from + 1 + random(7) : piece.length;
        await answer.write(piece.subarray(from, to));
        left -= to - from;
      }
    }
    answer.end();
  }

  async function resend(answer: Answer, first: Upstream, ask: () => Promise<Upstream>): Promise<void> {
    let left = 1 + random(options.maxBytes);
    for await (const frame of first.frames()) {
      await answer.write(frame);
      left -= frame.length;
      if (left <= 0) break;
    }
    first.close();
    for await (const frame of (await ask()).frames()) await answer.write(frame);
    answer.end();
  }

  await new Promise<void>((resolve) => server.listen({ port: 0, host: '127.0.0.1', backlog: 2_000 }, resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return {
    url: `http://127.0.0.1:${address.port}`,
    fates,
    get mostOpen() {
      return mostOpen;
    },
    async close() {
      for (const timer of timers) clearTimeout(timer);
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Whole numbers below a bound, from a seed: Numerical Recipes' congruence, of which the high bits are the good ones. */
export function randomOf(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** Deals the deck to its end, shuffles and deals it again. */
function deckOf(random: (below: number) => number): () => Fate {
  let deck: Fate[] = [];
  return () => {
    if (deck.length === 0) deck = FATES.flatMap((fate) => Array<Fate>(DECK[fate]).fill(fate));
    const [card = 'passed'] = deck.splice(random(deck.length), 1);
    return card;
  };
}
