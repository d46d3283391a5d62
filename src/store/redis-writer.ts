// All writes of events: each run's line (redis-line.ts) has one batch on its way at most, those of one turn of the event loop
// share a round trip, and what waits is kept through an outage of the store for a while. Nothing is repeated and nothing left
// out: a batch whose reply was lost is sent again, and Redis answers whether it has it.

import type { Logger } from '../observe/logger.ts';
import type { RunStatus } from '../protocol/runs.ts';
import { StoreUnavailableError } from '../runs/errors.ts';
import type { AppendOutcome, FinaliseOutcome, StoredEvent, TerminalTransition } from '../runs/ports.ts';
import { EventTooLargeError } from './errors.ts';
import { storablePayload } from './payload.ts';
import { type Complaints, RedisRefusal } from './redis-errors.ts';
import type { RunKeys } from './redis-keys.ts';
import type { LineSettings, Outcome, RunLine } from './redis-line.ts';
import { createLines } from './redis-lines.ts';
import type { RedisLink } from './redis-link.ts';
import { createOutage } from './redis-outage.ts';
import type { Trimmer } from './redis-trim.ts';

/** Characters of payload on their way to Redis at once, all runs together (8 Mi); the rest waits. A single batch may be larger. */
export const IN_FLIGHT_MAX_CHARS = 8 * 1024 * 1024;
/** Characters of payload that may wait during an outage (64 Mi); more are refused at once. */
export const BACKLOG_MAX_CHARS = 64 * 1024 * 1024;
/** The largest write, in characters: beyond (Redis' proto-max-bulk-len is 512 MiB) the server would only hang up. */
export const WRITE_MAX_CHARS = 128 * 1024 * 1024;
/** Delay before what a server refused for the moment (OOM, …) is tried again, ms; doubles up to RETRY_MAX_MS. */
export const RETRY_MIN_MS = 100;
export const RETRY_MAX_MS = 1_600;

export interface WriterOptions extends LineSettings {
  readonly link: RedisLink;
  readonly keysOf: (runId: string) => RunKeys;
  /** How long writes wait for a store that is away; then they are rejected. */
  readonly outageMs: number;
  /** Null: streams are not bounded. */
  readonly trimmer: Trimmer | null;
  /** A run is over or gone; `here`: by an end that was written here. */
  readonly onOver: (runId: string, here: boolean) => void;
  readonly logger: Logger;
  readonly complaints: Complaints;
}

export interface RedisWriter {
  /** This process executes the run from now on; its stream is empty. */
  begin(runId: string): void;
  /** Somebody else ended the run. */
  leave(runId: string): void;
  append(runId: string, payloads: readonly string[]): Promise<AppendOutcome>;
  finalise(runId: string, transition: TerminalTransition): Promise<FinaliseOutcome>;
  /** The end of the run is on its way, or may have been written. */
  isEnding(runId: string): boolean;
  /** What waits goes now, before anything that is sent next. */
  flush(): void;
  /** Keys of the runs that this process executes: they must not expire. */
  activeKeys(): readonly RunKeys[];
  /** The link came back. */
  resume(): void;
  /** The link was lost; `since` when (`performance.now()`) the server was last heard of. */
  suspend(reason: Error, since: number): void;
  /** Resolves when nothing waits any more, at the latest after `ms`. */
  drain(ms: number): Promise<void>;
  /** Rejects what waits and everything that comes. */
  close(): void;
}

export function createWriter(options: WriterOptions): RedisWriter {
  const { link, logger, complaints, outageMs } = options;
  const lines = createLines(options.keysOf, options);
  /** Lines that have something to send. */
  const ready = new Set<RunLine>();
  let scheduled = false;
  let waitingChars = 0;
  let flyingChars = 0;
  let closed = false;
  let drained: (() => void) | null = null;
  const outage = createOutage(outageMs, exhausted);
  /** A refusal was met: nothing is sent until this fires. */
  let retryTimer: ReturnType<typeof setTimeout> | null = null;
  let retryMs = RETRY_MIN_MS;

  function submit(runId: string, texts: readonly string[], end: TerminalTransition | null): Promise<Outcome> {
    const payloads = texts.map(storablePayload);
    let chars = 0;
    for (const payload of payloads) chars += payload.length;
    const refusal = refuse(chars);
    if (refusal !== null) {
      const line = lines.find(runId);
      // Whoever ends a run does not execute it any more: if nobody succeeds it shall expire.
      if (end !== null && line !== undefined) line.active = false;
      return Promise.reject(refusal instanceof EventTooLargeError ? refusal : new StoreUnavailableError(refusal));
    }
    return new Promise((resolve, reject) => {
      const line = lines.of(runId);
      line.writes.push({ payloads, end, chars, resolve, reject });
      waitingChars += chars;
      ready.add(line);
      if (scheduled) return;
      // What else this turn of the event loop produces goes along.
      scheduled = true;
      setImmediate(() => {
        scheduled = false;
        pump();
      });
    });
  }

  function refuse(chars: number): Error | null {
    if (closed) return new Error('the store is closed');
    if (chars > WRITE_MAX_CHARS) return new EventTooLargeError(`${chars} characters`);
    const trouble = outage.reason;
    if (trouble === null) return null;
    if (outage.exhausted && link.connection === null) return trouble;
    return waitingChars + chars > BACKLOG_MAX_CHARS
      ? new Error('too much waits for the store', { cause: trouble })
      : null;
  }

  function pump(): void {
    for (const line of ready) {
      if (link.connection === null || retryTimer !== null || flyingChars >= IN_FLIGHT_MAX_CHARS) return;
      ready.delete(line);
      if (line.sent === 0 && line.writes.length > 0) send(line);
    }
  }

  function send(line: RunLine): void {
    const command = line.take();
    const chars = line.sentChars;
    flyingChars += chars;
    const landed = () => {
      flyingChars -= chars;
      if (line.writes.length > 0) ready.add(line);
      else lines.release(line);
      pump();
      if (drained !== null && lines.idle) drained();
    };
    link.send(command).then(
      (reply) => {
        answered(line, reply);
        landed();
      },
      (error: unknown) => {
        failed(line, error);
        landed();
      },
    );
  }

  function answered(line: RunLine, reply: unknown): void {
    recovered();
    const verdict = line.answered(reply);
    if (verdict.kind === 'moved') {
      line.refused();
      return;
    }
    if (verdict.kind === 'held') {
      const write = line.shiftHeld();
      if (write !== null) {
        waitingChars -= write.chars;
        write.resolve({ done: false, status: 'running', cancel: verdict.cancel });
      }
      return;
    }
    if (verdict.kind === 'refused') {
      if (verdict.status === null && verdict.last !== null) {
        logger.error('unreadable run record', { run_id: line.runId });
      }
      settleOver(line, verdict.status, verdict.last);
      return;
    }
    const batch = line.shiftBatch();
    let at = 0;
    for (const { payloads, chars, resolve } of batch) {
      waitingChars -= chars;
      const ids = verdict.ids.slice(at, at + payloads.length);
      at += payloads.length;
      resolve({ done: true, events: payloads.map((payload, index) => ({ id: ids[index] ?? '', payload })) });
    }
    const last = verdict.ids.at(-1);
    if (options.trimmer !== null && line.size !== null && last !== undefined) {
      const payloads = batch.flatMap((write) => write.payloads);
      options.trimmer.grown(line.keys, line.size, payloads, last);
    }
    const end = batch.at(-1)?.end ?? null;
    if (end === null) line.active = true;
    else settleOver(line, end.status, null, true);
  }

  /** The run is over or unknown: so is everything that waits in its line, unless it is the end that was believed lost. */
  function settleOver(line: RunLine, status: RunStatus | null, last: StoredEvent | null, here = false): void {
    line.active = false;
    let endedHere = here;
    for (const write of line.abandon()) {
      waitingChars -= write.chars;
      const lost = line.lostEnd;
      if (lost !== null && last?.payload === lost.payload && status === lost.status && write.end?.status === status) {
        line.lostEnd = null;
        endedHere = true;
        write.resolve({ done: true, events: [last] });
      } else write.resolve({ done: false, status, cancel: null });
    }
    line.lostEnd = null;
    options.onOver(line.runId, endedHere);
  }

  function failed(line: RunLine, error: unknown): void {
    if (!(error instanceof RedisRefusal)) {
      line.lost();
      outage.begin(error);
      if (outage.exhausted) giveUp(line);
      return;
    }
    line.refused();
    if (error.code === 'NOSCRIPT' && !line.needsText) {
      line.needsText = true;
      return;
    }
    complaints.about(error, 'append');
    if (!error.transient) {
      // It is about this run's keys: others are not held up.
      giveUp(line, error);
      return;
    }
    outage.begin(error);
    if (outage.exhausted) giveUp(line, error);
    if (error.wantsReconnect) link.reset(error);
    else if (retryTimer === null) {
      retryTimer = setTimeout(() => {
        retryTimer = null;
        pump();
      }, retryMs);
      retryMs = Math.min(2 * retryMs, RETRY_MAX_MS);
    }
  }

  function recovered(): void {
    if (outage.reason === null) return;
    outage.end();
    retryMs = RETRY_MIN_MS;
  }

  function exhausted(): void {
    const waiting = lines.waiting();
    if (waiting.length === 0) return;
    logger.error('the store is away for too long, giving up what waits for it', { runs: waiting.length });
    // What is on its way comes back first.
    for (const line of waiting) if (line.sent === 0) giveUp(line);
  }

  function giveUp(line: RunLine, error: Error | null = outage.reason): void {
    ready.delete(line);
    for (const write of line.abandon()) {
      waitingChars -= write.chars;
      write.reject(new StoreUnavailableError(error));
    }
  }

  return {
    begin: (runId) => lines.of(runId).begin(),
    leave: lines.leave,
    isEnding: (runId) => lines.find(runId)?.isEnding === true,
    flush: pump,
    async append(runId, payloads) {
      const outcome = await submit(runId, payloads, null);
      return outcome.done ? { appended: true, events: outcome.events } : { appended: false, status: outcome.status };
    },
    async finalise(runId, transition) {
      const outcome = await submit(runId, [transition.payload], transition);
      if (!outcome.done) return { applied: false, status: outcome.status, cancel: outcome.cancel };
      const [event] = outcome.events;
      return event === undefined ? { applied: false, status: null, cancel: null } : { applied: true, event };
    },
    activeKeys: lines.activeKeys,
    resume() {
      const waiting = lines.waiting();
      if (waiting.length === 0) recovered();
      for (const line of waiting) ready.add(line);
      pump();
    },
    suspend: outage.begin,
    async drain(ms) {
      if (lines.idle || link.connection === null) return;
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, ms);
        drained = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    },
    close() {
      closed = true;
      outage.close();
      if (retryTimer !== null) clearTimeout(retryTimer);
      for (const line of lines) giveUp(line, new Error('the store is closed'));
    },
  };
}
