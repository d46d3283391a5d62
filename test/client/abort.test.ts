// Every method ended at every moment: an abort (or leaving the loop) a few turns after each thing that happens. Whatever the
// moment, the caller gets the reason or what was finished, and nothing stays behind: no open body, no timer, no listener, no
// rejection that nobody handles. The server is in memory, so that every moment comes again.

import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { Client } from '../../src/client/client.ts';
import { cancelled, record, started, succeeded } from './events.ts';

const REASON = new Error('enough');
/** Turns of the microtask queue after a moment: more than any chain of awaits between two moments has. */
const TURNS = 14;

const rejections: unknown[] = [];
const collect = (reason: unknown): void => void rejections.push(reason);
beforeAll(() => void process.on('unhandledRejection', collect));
afterAll(() => void process.off('unhandledRejection', collect));

/** A world in which the n-th thing that happens ends the call. */
class World {
  readonly #at: number;
  readonly #turns: number;
  readonly #act: () => void;
  happened = 0;
  acted = false;
  /** Bodies that were handed out and neither read to their end nor closed. */
  openBodies = 0;
  readonly #listeners = new Set<unknown>();
  readonly abort = new AbortController();

  constructor(at: number, turns: number, act?: () => void) {
    this.#at = at;
    this.#turns = turns;
    this.#act = act ?? (() => this.abort.abort(REASON));
    const { signal } = this.abort;
    const { addEventListener, removeEventListener } = signal;
    signal.addEventListener = (type: string, listener: EventListener) => {
      this.#listeners.add(listener);
      addEventListener.call(signal, type, listener);
    };
    signal.removeEventListener = (type: string, listener: EventListener) => {
      this.#listeners.delete(listener);
      removeEventListener.call(signal, type, listener);
    };
  }

  /** On the caller's signal. */
  get listeners(): number {
    return this.#listeners.size;
  }

  /** Says that something happens here. */
  moment(): void {
    if (this.happened++ !== this.#at) return;
    void (async () => {
      for (let turn = 0; turn < this.#turns; turn += 1) await Promise.resolve();
      this.acted = true;
      this.#act();
    })();
  }

  /** A server: runs are created, looked at and cancelled; streams break after their first event, then go on. */
  readonly fetch = async (url: string, init: RequestInit): Promise<Response> => {
    this.moment();
    await Promise.resolve();
    this.moment();
    if (init.signal?.aborted === true) throw init.signal.reason;
    const { pathname, searchParams } = new URL(url);
    if (!pathname.endsWith('/events/sse')) {
      const { status, value } = plainAnswer(pathname, init.method ?? '');
      return new Response(this.#body([JSON.stringify(value)], false, init.signal), { status });
    }
    const first = searchParams.get('after') === '0-0';
    const end = pathname.includes('/doomed/') ? cancelled('3-0') : succeeded('3-0');
    const body = this.#body(first ? [': hi\n\n', started('1-0')] : [end], first, init.signal);
    return new Response(body, { headers: { 'content-type': 'text/event-stream' } });
  };

  #body(texts: readonly string[], breaks: boolean, signal: AbortSignal | null | undefined): ReadableStream<Uint8Array> {
    const encoder = new TextEncoder();
    let sent = 0;
    let over = false;
    const close = (): void => {
      if (!over) this.openBodies -= 1;
      over = true;
    };
    this.openBodies += 1;
    return new ReadableStream<Uint8Array>(
      {
        pull: async (controller) => {
          this.moment();
          await Promise.resolve();
          this.moment();
          if (over) return;
          const text = texts[sent++];
          if (signal?.aborted === true) {
            close();
            controller.error(signal.reason);
          } else if (text !== undefined) controller.enqueue(encoder.encode(text));
          else {
            close();
            if (breaks) controller.error(new TypeError('the connection broke'));
            else controller.close();
          }
        },
        cancel: () => {
          this.moment();
          close();
        },
      },
      { highWaterMark: 0 },
    );
  }
}

function plainAnswer(path: string, method: string): { readonly status: number; readonly value: unknown } {
  if (path === '/runs') return { status: 202, value: { run_id: 'run-1', status: 'running' } };
  if (method === 'POST') return { status: 200, value: { run_id: 'run-1', status: 'cancelled' } };
  return { status: 200, value: record('succeeded') };
}

/** Timers that were set and have neither rung nor been cleared, during `use`. */
async function timersLeft(use: () => Promise<void>): Promise<number> {
  const { setTimeout: set, clearTimeout: clear } = globalThis;
  const open = new Set<unknown>();
  const counted = (run: () => void, ms?: number) => {
    const timer = set(() => {
      open.delete(timer);
      run();
    }, ms);
    open.add(timer);
    return timer;
  };
  globalThis.setTimeout = counted as typeof setTimeout; // the client passes nothing else
  globalThis.clearTimeout = ((timer: Parameters<typeof clear>[0]) => {
    open.delete(timer);
    clear(timer);
  }) as typeof clearTimeout; // as above
  try {
    await use();
    return open.size;
  } finally {
    globalThis.setTimeout = set;
    globalThis.clearTimeout = clear;
  }
}

type Call = (client: Client, world: World) => Promise<unknown>;

/** Runs a call once for each moment and turn; `endsWell` says what it may result in. */
async function atEveryMoment(call: Call, finished: unknown, isEnd: (error: unknown) => boolean): Promise<number> {
  let tried = 0;
  let cut = 0;
  for (let at = 0; ; at += 1) {
    let reached = false;
    for (let turns = 0; turns <= TURNS; turns += 1) {
      const world = new World(at, turns);
      const client = new Client({ baseUrl: 'http://in.memory', fetch: world.fetch });
      const left = await timersLeft(async () => {
        try {
          expect(await call(client, world)).toEqual(finished);
        } catch (error) {
          if (!isEnd(error)) throw error;
          cut += 1;
        }
        // What is closed on the side is closed a few turns later.
        for (let turn = 0; turn < TURNS; turn += 1) await Promise.resolve();
      });
      expect({ at, turns, left, bodies: world.openBodies, listeners: world.listeners }).toEqual({
        at,
        turns,
        left: 0,
        bodies: 0,
        listeners: 0,
      });
      reached ||= world.happened > at;
      tried += 1;
    }
    if (!reached) break;
  }
  // An abort that came after the end is most of what else there is.
  expect(cut).toBeGreaterThan(TURNS);
  expect(rejections).toEqual([]);
  return tried;
}

const isReason = (error: unknown): boolean => error === REASON;
const SPEED = { reconnectDelayMs: 0 };

describe('aborted at every moment', () => {
  test('streamEvents', async () => {
    const call: Call = async (client, world) => {
      const seen: string[] = [];
      for await (const { id } of client.streamEvents('run-1', { ...SPEED, signal: world.abort.signal })) {
        world.moment();
        seen.push(id);
      }
      return seen;
    };
    expect(await atEveryMoment(call, ['1-0', '3-0'], isReason)).toBeGreaterThan(100);
  });

  test('createRun', async () => {
    const call: Call = (client, { abort }) =>
      client.createRun({ composition: { layers: [] } }, { signal: abort.signal });
    await atEveryMoment(call, { run_id: 'run-1', status: 'running' }, isReason);
  });

  test('getRun and waitRun', async () => {
    const call: Call = async (client, { abort: { signal } }) => {
      await client.getRun('run-1', { signal });
      return client.waitRun('run-1', { signal, pollIntervalMs: 0 });
    };
    await atEveryMoment(call, record('succeeded'), isReason);
  });

  test('cancelRunAndWait', async () => {
    const call: Call = async (client, { abort: { signal } }) =>
      (await client.cancelRunAndWait('doomed', {}, { ...SPEED, signal })).type;
    await atEveryMoment(call, 'run_cancelled', isReason);
  });

  test.each([false, true])('runToCompletion, cancelOnAbort %p', async (cancelOnAbort) => {
    const call: Call = async (client, { abort: { signal } }) => {
      const request = { composition: { layers: [] } };
      return (await client.runToCompletion(request, { ...SPEED, signal, cancelOnAbort })).type;
    };
    await atEveryMoment(call, 'run_succeeded', isReason);
  });
});

test('a loop left at every moment ends at once, without an error', async () => {
  for (let at = 0, reached = true; reached; at += 1) {
    reached = false;
    for (let turns = 0; turns <= TURNS; turns += 1) {
      const left = Promise.withResolvers<void>();
      const world = new World(at, turns, left.resolve);
      const client = new Client({ baseUrl: 'http://in.memory', fetch: world.fetch });
      const timers = await timersLeft(async () => {
        // After the first connection's break it would wait for a minute.
        const events = client.streamEvents('run-1', { reconnectDelayMs: 60_000 });
        const seen: string[] = [];
        const consumer = (async () => {
          for await (const { id } of events) {
            world.moment();
            seen.push(id);
          }
        })();
        // The last moments are not reached: then it is left in that pause.
        await Promise.race([left.promise, Bun.sleep(5)]);
        await events.return();
        await consumer;
        expect(seen.length).toBeLessThanOrEqual(1);
        for (let turn = 0; turn < TURNS; turn += 1) await Promise.resolve();
      });
      expect({ at, turns, timers, bodies: world.openBodies }).toEqual({ at, turns, timers: 0, bodies: 0 });
      reached ||= world.acted;
    }
  }
  expect(rejections).toEqual([]);
});
