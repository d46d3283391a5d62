// Drives reference_store.py: a Python process on the same Redis and prefix as the server under test.

import type { FileSink } from 'bun';
import { within } from '../support/until.ts';

const SCRIPT = new URL('./reference_store.py', import.meta.url).pathname;
/** Longer than any operation takes; `follow` waits for a run to end. */
const ANSWER_MS = 30_000;

/** A record as the reference keeps it (spec 01 §6). */
export interface PythonRecord {
  readonly run_id: string;
  readonly status: string;
  readonly created_at: string;
  readonly updated_at: string;
  readonly error: string | null;
  readonly error_type?: string | null;
}

/** An event as the reference's strict models read it. */
export interface PythonEvent {
  readonly id: string;
  readonly run_id: string;
  readonly created_at: string;
  readonly type: string;
  readonly data: Readonly<Record<string, unknown>>;
}

/** What the process can do; one operation after the other. An operation that fails there rejects with its text. */
export interface PythonStore {
  create(record: PythonRecord): Promise<void>;
  /** Appends an event without id, or this exact text; returns the id. */
  append(runId: string, payload: string | object): Promise<string>;
  /** The older reference's second step of an end: a plain overwrite of the record. */
  status(runId: string, status: string, updatedAt: string, error?: string | null): Promise<void>;
  /** The newer reference's atomic end: `[1, status, id]`, `[0, status, '']` or `[-1, '', '']`. */
  finalise(
    runId: string,
    end: {
      readonly status: string;
      readonly updated_at: string;
      readonly payload: object;
      readonly error?: string;
      readonly error_type?: string;
    },
  ): Promise<readonly [number, string, string]>;
  /** An entry with these fields, whatever they are. */
  rawEntry(runId: string, fields: Readonly<Record<string, string>>): Promise<string>;
  rawRecord(runId: string, text: string): Promise<void>;
  forgetRecord(runId: string): Promise<void>;
  /** Null when there is none; rejects when the reference could not read it. */
  getRecord(runId: string): Promise<PythonRecord | null>;
  recordText(runId: string): Promise<string | null>;
  payloadTexts(runId: string): Promise<readonly string[]>;
  readEvents(runId: string, after?: string, count?: number): Promise<readonly PythonEvent[]>;
  /** Everything up to the terminal event, waiting for it. */
  follow(runId: string, after?: string): Promise<readonly PythonEvent[]>;
  /** Seconds that record and stream have left: −1 without limit, −2 when there is none. */
  ttls(runId: string): Promise<readonly [number, number]>;
  /** All keys under the prefix. */
  keys(): Promise<readonly string[]>;
  dispose(): Promise<void>;
}

/** Starts the process. Needs Debian's python3-redis (.ci/redis.mjs installs it). */
export function startPython(url: string, prefix: string, ttlSeconds = 259_200): PythonStore {
  const interpreter = process.env.DIFY_AGENT_TEST_PYTHON || '/usr/bin/python3';
  const child = Bun.spawn([interpreter, SCRIPT, url, prefix, String(ttlSeconds)], {
    stdin: 'pipe',
    stdout: 'pipe',
    stderr: 'inherit',
  });
  const answers = lines(child.stdout);
  let last: Promise<unknown> = Promise.resolve();

  async function exchange(stdin: FileSink, operation: string, args: object): Promise<unknown> {
    stdin.write(`${JSON.stringify([operation, args])}\n`);
    await stdin.flush();
    const { value, done } = await within(`Python's ${operation}`, answers.next(), ANSWER_MS);
    if (done) throw new Error(`Python ended during ${operation}`);
    const answer = JSON.parse(value) as { readonly ok?: unknown; readonly error?: string }; // reference_store.py, main
    if (answer.error !== undefined) throw new Error(`${operation}: ${answer.error}`);
    return answer.ok;
  }

  // The script answers in order, so the next question waits for the last answer. Each operation knows what it returns.
  function ask<T>(operation: string, args: object = {}): Promise<T> {
    const answer = last.then(() => exchange(child.stdin, operation, args));
    last = answer.catch(() => {});
    return answer as Promise<T>;
  }

  return {
    create: (record) => ask('create', { record }),
    append: (runId, payload) => ask('append', { run_id: runId, payload }),
    status: (runId, status, updatedAt, error = null) =>
      ask('status', { run_id: runId, status, updated_at: updatedAt, error }),
    finalise: (runId, end) => ask('finalise', { run_id: runId, ...end }),
    rawEntry: (runId, fields) => ask('raw_entry', { run_id: runId, fields }),
    rawRecord: (runId, text) => ask('raw_record', { run_id: runId, text }),
    forgetRecord: (runId) => ask('forget_record', { run_id: runId }),
    getRecord: (runId) => ask('get_record', { run_id: runId }),
    recordText: (runId) => ask('record_text', { run_id: runId }),
    payloadTexts: (runId) => ask('payload_texts', { run_id: runId }),
    readEvents: (runId, after = '0-0', count = 100) => ask('read_events', { run_id: runId, after, count }),
    follow: (runId, after = '0-0') => ask('follow', { run_id: runId, after }),
    ttls: (runId) => ask('ttls', { run_id: runId }),
    keys: () => ask('keys'),
    async dispose() {
      child.kill();
      await child.exited;
    },
  };
}

async function* lines(stream: ReadableStream<Uint8Array>): AsyncGenerator<string, undefined> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of stream) {
    const parts = (rest + decoder.decode(chunk, { stream: true })).split('\n');
    rest = parts.pop() ?? '';
    yield* parts;
  }
  return undefined;
}
