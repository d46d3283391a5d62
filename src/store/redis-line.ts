// One run's way to Redis: its writes wait here in order, and at most one batch of them is on its way. What a lost reply hid is
// found out by sending the same batch again: lua/fenced.lua answers with what follows the last event that this line knows.
// When and whether to send is redis-writer.ts's.

import { CURSOR_START, type EventId } from '../base/cursor.ts';
import type { RunStatus, TerminalStatus } from '../protocol/runs.ts';
import type { CancelIntent, StoredEvent, TerminalTransition } from '../runs/ports.ts';
import { endText } from './redis-index.ts';
import type { RunKeys } from './redis-keys.ts';
import { isRunStatus, parseIntent, recordFrame } from './redis-record.ts';
import type { Scripts } from './redis-scripts.ts';
import { emptyStream, type StreamSize } from './redis-trim.ts';

/** A batch takes no further write when it has this many events, or this many characters of payload. */
export const BATCH_MAX_EVENTS = 256;
export const BATCH_MAX_CHARS = 512 * 1024;

/** What became of a write. */
export type Outcome =
  | { readonly done: true; readonly events: readonly StoredEvent[] }
  /** The run is over (its status), unknown (null), or cannot end this way yet (`running`, and the accepted cancel if there is one). */
  | { readonly done: false; readonly status: RunStatus | null; readonly cancel: CancelIntent | null };

/** An append, or the end of the run. */
export interface Write {
  /** Stored in one step; of an end: the terminal event. */
  readonly payloads: readonly string[];
  readonly end: TerminalTransition | null;
  /** Characters of payload. */
  readonly chars: number;
  readonly resolve: (outcome: Outcome) => void;
  readonly reject: (error: Error) => void;
}

/** What the answer to a batch means. */
export type Verdict =
  | { readonly kind: 'applied'; readonly ids: readonly EventId[] }
  /** Not applied: the stream has another end than the line knew. It knows now; send again. */
  | { readonly kind: 'moved' }
  /** Not applied: the end of the batch is not one that the run may have (spec 01 §6.1), for want of a cancel or because of one. */
  | { readonly kind: 'held'; readonly cancel: CancelIntent | null }
  /** Not applied: no run, not running, or (status null) nothing that can be read as a record. */
  | { readonly kind: 'refused'; readonly status: RunStatus | null; readonly last: StoredEvent | null };

/** A terminal transition that was given up without knowing whether it was applied. */
export interface LostEnd {
  readonly status: TerminalStatus;
  readonly payload: string;
}

export interface LineSettings {
  readonly scripts: Scripts;
  /** The key of this process's set of runs. */
  readonly index: string;
  readonly retentionMs: number;
  /** How far a time to live may be off. */
  readonly slackMs: number;
  /** What the names of the keys of the index begin with; null: runs are not listed. */
  readonly indexBase: string | null;
  /** Whether records may have keys that implementations of the seed refuse. */
  readonly newerRecords: boolean;
}

export class RunLine {
  readonly runId: string;
  readonly keys: RunKeys;
  /** What waits, oldest first; the first `sent` are on their way. */
  readonly writes: Write[] = [];
  sent = 0;
  /** The script's text must be sent: the server does not know its digest. */
  needsText = false;
  /** This process executes the run, so that the run must not expire. */
  active = false;
  lostEnd: LostEnd | null = null;
  /** `performance.now()` when `lostEnd` was set. */
  lostAt = 0;
  /** Of a run that this process created; null: others may write it, too. */
  size: StreamSize | null = null;

  readonly #settings: LineSettings;
  #known: EventId = CURSOR_START;
  /** Writes of a batch whose reply was lost: they go again together, in the same company. */
  #doubtful = 0;
  #payloads: readonly string[] = [];
  /** The end goes without what is before it. */
  #endAlone = false;

  constructor(runId: string, keys: RunKeys, settings: LineSettings) {
    this.runId = runId;
    this.keys = keys;
    this.#settings = settings;
  }

  /** Characters of payload on their way. */
  get sentChars(): number {
    let chars = 0;
    for (let i = 0; i < this.sent; i += 1) chars += this.writes[i]?.chars ?? 0;
    return chars;
  }

  /** The end of the run waits here, or may have been written. */
  get isEnding(): boolean {
    return this.lostEnd !== null || this.writes.some((write) => write.end !== null);
  }

  /** This process created the run: its stream is empty. */
  begin(): void {
    this.active = true;
    this.size = emptyStream();
  }

  /** The command for the next batch, which is then on its way. */
  take(): readonly string[] {
    this.sent = this.#doubtful > 0 ? this.#doubtful : this.#batchSize();
    const batch = this.writes.slice(0, this.sent);
    this.#payloads = batch.length === 1 ? (batch[0]?.payloads ?? []) : batch.flatMap(({ payloads }) => payloads);
    const { scripts, index, retentionMs, slackMs, indexBase, newerRecords } = this.#settings;
    const { record, events, intent } = this.keys;
    const ttl = String(retentionMs);
    const end = batch.at(-1)?.end ?? null;
    let script = scripts.append;
    let keys = [record, events];
    let args = [this.#known, ttl, String(slackMs), ...this.#payloads];
    if (end !== null) {
      const errorType = newerRecords ? (end.facts?.errorType ?? null) : null;
      const { head, tail } = recordFrame(this.runId, end.status, end.error, errorType);
      const listed = indexBase === null ? ['', ''] : [indexBase, endText(end)];
      script = scripts.finalise;
      keys = [record, events, intent, index];
      args = [this.#known, ttl, this.runId, end.status, end.updatedAt, head, tail, ...listed, ...this.#payloads];
    }
    return this.needsText ? script.byText(keys, args) : script.bySha(keys, args);
  }

  /** The batch on its way was not executed; it waits again. */
  refused(): void {
    this.sent = 0;
  }

  /** The connection was lost with the batch on its way. */
  lost(): void {
    this.#doubtful = this.sent;
    this.sent = 0;
  }

  /** Reads the answer to the batch on its way. */
  answered(reply: unknown): Verdict {
    const doubtful = this.#doubtful > 0;
    this.#doubtful = 0;
    this.needsText = false;
    if (typeof reply === 'string') {
      const ids = reply === '' ? [] : reply.split(',');
      this.#known = ids.at(-1) ?? this.#known;
      return { kind: 'applied', ids };
    }
    const words = Array.isArray(reply) ? reply.map(String) : [];
    if (words[0] === 'held') {
      return { kind: 'held', cancel: words[1] === undefined ? null : parseIntent(words[1]) };
    }
    const [status, lastId, lastPayload, ...follows] = words;
    const ids = doubtful ? this.#ownIds(follows) : null;
    if (lastId !== undefined) this.#known = lastId;
    if (ids !== null) return { kind: 'applied', ids };
    if (status === 'running') return { kind: 'moved' };
    return {
      kind: 'refused',
      status: isRunStatus(status) ? status : null,
      last: lastId === undefined || lastPayload === undefined ? null : { id: lastId, payload: lastPayload },
    };
  }

  /** Takes the batch that was answered out of the line. */
  shiftBatch(): readonly Write[] {
    const batch = this.writes.splice(0, this.sent);
    this.sent = 0;
    this.#endAlone = false;
    return batch;
  }

  /** The end of the batch was held. Takes it out; null when what is before it has to go first, which it now does. */
  shiftHeld(): Write | null {
    if (this.sent === 1) return this.shiftBatch()[0] ?? null;
    this.sent = 0;
    this.#endAlone = true;
    return null;
  }

  /** Takes everything out; remembers a terminal transition that may have been applied. */
  abandon(): readonly Write[] {
    const end = this.writes.slice(0, this.#doubtful).at(-1)?.end;
    if (end !== null && end !== undefined) {
      this.lostEnd = { status: end.status, payload: this.#payloads.at(-1) ?? '' };
      this.lostAt = performance.now();
    }
    if (this.writes.some((write) => write.end !== null)) this.active = false;
    this.#doubtful = 0;
    this.#endAlone = false;
    this.sent = 0;
    return this.writes.splice(0);
  }

  /** Appends up to the limits, and the end when it is next; at least one write. */
  #batchSize(): number {
    let events = 0;
    let chars = 0;
    let size = 0;
    for (const write of this.writes) {
      if (size > 0 && (events + write.payloads.length > BATCH_MAX_EVENTS || chars + write.chars > BATCH_MAX_CHARS))
        break;
      if (size > 0 && this.#endAlone && write.end !== null) break;
      size += 1;
      events += write.payloads.length;
      chars += write.chars;
      if (write.end !== null) break;
    }
    return size;
  }

  /** The ids of the batch's events when `follows` (id, payload, id, payload, …) begins with them, else null. */
  #ownIds(follows: readonly string[]): readonly EventId[] | null {
    if (this.#payloads.length === 0) return null;
    const ids: EventId[] = [];
    for (const [index, payload] of this.#payloads.entries()) {
      const id = follows[2 * index];
      if (id === undefined || follows[2 * index + 1] !== payload) return null;
      ids.push(id);
    }
    return ids;
  }
}
