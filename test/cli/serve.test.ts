// The life of a server process: what each signal and each accident does, with an application that does what it is told.

import { describe, expect, test } from 'bun:test';
import { CodedError } from '../../src/base/errors.ts';
import { type ServeParts, serve } from '../../src/cli/serve.ts';
import { type FakeIo, fakeIo } from './support.ts';

const ENV = { DIFY_AGENT_STORE_URL: 'sqlite::memory:', DIFY_AGENT_LOG_LEVEL: 'error' };

interface Story {
  readonly io: FakeIo;
  readonly code: Promise<number>;
  /** What happened to the application, in order. */
  readonly steps: string[];
  /** Resolves when the step has happened. */
  reached(step: string): Promise<void>;
}

interface Behaviour {
  readonly start?: () => Promise<void>;
  readonly stop?: (hurry: AbortSignal) => Promise<void>;
  readonly accidentStopMs?: number;
}

function serveStory({ start, stop, accidentStopMs = 10_000 }: Behaviour = {}): Story {
  const io = fakeIo([], ENV);
  const steps: string[] = [];
  const waiting = new Map<string, () => void>();
  const step = (name: string): void => {
    steps.push(name);
    waiting.get(name)?.();
  };
  const parts: ServeParts = {
    accidentStopMs,
    restart: () => step('restart'),
    loadApp: async () => ({
      createApp: () => ({
        async start() {
          step('start');
          await start?.();
          step('started');
          return { url: 'http://127.0.0.1:1' };
        },
        async stop(options) {
          step('stop');
          const hurry = options?.hurry ?? new AbortController().signal;
          await stop?.(hurry);
          step(hurry.aborted ? 'stopped in a hurry' : 'stopped');
        },
      }),
    }),
  };
  const code = serve(io, parts);
  return {
    io,
    code,
    steps,
    reached: (name) =>
      steps.includes(name)
        ? Promise.resolve()
        : new Promise((resolve) => {
            waiting.set(name, resolve);
          }),
  };
}

function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener('abort', () => resolve());
  });
}

describe.each(['SIGTERM', 'SIGINT'])('%s', (signal) => {
  test('stops the application and exits 0', async () => {
    const story = serveStory();
    await story.reached('started');
    story.io.events.emit(signal);
    expect(await story.code).toBe(0);
    expect(story.steps).toEqual(['start', 'started', 'stop', 'stopped']);
  });

  test('a second one hurries, and the stop is still waited for', async () => {
    const story = serveStory({ stop: untilAborted });
    await story.reached('started');
    story.io.events.emit(signal);
    await story.reached('stop');
    story.io.events.emit('SIGTERM');
    expect(await story.code).toBe(0);
    expect(story.steps.at(-1)).toBe('stopped in a hurry');
  });

  test('while the application starts, it is stopped as soon as it is up', async () => {
    const gate = Promise.withResolvers<void>();
    const story = serveStory({ start: () => gate.promise });
    await story.reached('start');
    story.io.events.emit(signal);
    gate.resolve();
    expect(await story.code).toBe(0);
    expect(story.steps).toEqual(['start', 'started', 'stop', 'stopped']);
  });

  test('twice while the application hangs in its start, the process ends', async () => {
    const story = serveStory({ start: () => new Promise(() => {}) });
    await story.reached('start');
    story.io.events.emit(signal);
    story.io.events.emit(signal);
    expect(await story.code).toBe(0);
    expect(story.steps).toEqual(['start']);
  });
});

describe.each(['unhandledRejection', 'uncaughtException'])('%s', (accident) => {
  test('ends every run in a hurry and exits 1', async () => {
    const story = serveStory();
    await story.reached('started');
    story.io.events.emit(accident, new Error('boom'));
    expect(await story.code).toBe(1);
    expect(story.steps.at(-1)).toBe('stopped in a hurry');
  });

  test('while a signal is obeyed, it hurries and the exit code is 1', async () => {
    const story = serveStory({ stop: untilAborted });
    await story.reached('started');
    story.io.events.emit('SIGTERM');
    await story.reached('stop');
    story.io.events.emit(accident, 'not even an error');
    expect(await story.code).toBe(1);
  });

  test('with a stop that never ends, the process ends all the same', async () => {
    const story = serveStory({ stop: () => new Promise(() => {}), accidentStopMs: 1 });
    await story.reached('started');
    story.io.events.emit(accident, new Error('boom'));
    expect(await story.code).toBe(1);
  });
});

describe('a start that fails', () => {
  test('with a known error prints its line, without secrets, and exits 1', async () => {
    const story = serveStory({
      start: () => Promise.reject(new CodedError('port_in_use', 'DIFY_AGENT_PORT: 127.0.0.1:8000 is already in use')),
    });
    expect(await story.code).toBe(1);
    expect(story.io.complaints).toEqual(['DIFY_AGENT_PORT: 127.0.0.1:8000 is already in use']);
  });

  test('with another error says so', async () => {
    const story = serveStory({ start: () => Promise.reject(new Error('redis://:hunter2@h went away')) });
    expect(await story.code).toBe(1);
    expect(story.io.complaints).toEqual(['cannot start: redis://:[redacted]@h went away']);
  });
});

test('a stop that fails exits 1', async () => {
  const story = serveStory({ stop: () => Promise.reject(new Error('no')) });
  await story.reached('started');
  story.io.events.emit('SIGTERM');
  expect(await story.code).toBe(1);
});

test('bad settings: one line each, exit 1, and nothing is loaded', async () => {
  const io = fakeIo([], { DIFY_AGENT_PORT: 'x', DIFY_AGENT_LOG_LEVEL: 'y' });
  const loadApp = (): never => {
    throw new Error('loaded');
  };
  expect(await serve(io, { loadApp, accidentStopMs: 1, restart: loadApp })).toBe(1);
  expect(io.complaints).toEqual([
    'DIFY_AGENT_PORT: "x" is not a whole number, 0 to 65535',
    'DIFY_AGENT_LOG_LEVEL: "y" is not debug or info or warn or error',
  ]);
});

test('the signals are watched to the very end: one that comes late must not kill the process on its way out', async () => {
  const story = serveStory();
  await story.reached('started');
  story.io.events.emit('SIGTERM');
  await story.code;
  expect(story.io.events.eventNames()).toContain('SIGTERM');
  expect(story.io.events.eventNames()).toContain('SIGINT');
});
