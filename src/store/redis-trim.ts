// Keeps the streams of this process's runs bounded: counts what was written, and has the oldest events dropped when a stream is
// over a limit by a tenth, so that most appends cost nothing more. What is dropped and what stays is lua/trim.lua's.

import type { EventId } from '../base/cursor.ts';
import { errorText } from '../base/errors.ts';
import type { Logger } from '../observe/logger.ts';
import type { RunKeys } from './redis-keys.ts';
import type { RedisLink } from './redis-link.ts';
import { runScript, type Scripts } from './redis-scripts.ts';

/** A stream may be over its limit by a part of it, or by this much when that is more, before it is trimmed. */
const SLACK = 0.1;
const SLACK_EVENTS = 16;
const SLACK_BYTES = 4_096;
/** Events that one command drops at most: a few milliseconds of Redis. */
const STEP_EVENTS = 2_000;

export interface StreamLimits {
  /** Events of a run that are kept, about; null: all. */
  readonly maxEvents: number | null;
  /** Bytes of payload of a run that are kept, about; null: all. */
  readonly maxBytes: number | null;
}

/** How large a stream is that this process alone writes. */
export interface StreamSize {
  /** Entries in the stream, and bytes of payload in it, as they are when every trim that was sent has been carried out. */
  events: number;
  bytes: number;
  /** Bytes of payload that were ever written to it. */
  written: number;
}

export function emptyStream(): StreamSize {
  return { events: 0, bytes: 0, written: 0 };
}

export interface Trimmer {
  /** These payloads were appended, the last one as `last`; the stream is trimmed if it is time to. */
  grown(keys: RunKeys, size: StreamSize, payloads: readonly string[], last: EventId): void;
}

/** Null when nothing is limited. `ttlMs`: how long it is remembered what was dropped. */
export function createTrimmer(
  limits: StreamLimits,
  deps: { readonly link: RedisLink; readonly scripts: Scripts; readonly ttlMs: number; readonly logger: Logger },
): Trimmer | null {
  const { maxEvents, maxBytes } = limits;
  if (maxEvents === null && maxBytes === null) return null;
  const mostEvents = over(maxEvents, SLACK_EVENTS);
  const mostBytes = over(maxBytes, SLACK_BYTES);
  const send = (command: readonly string[]) => deps.link.send(command);

  async function trim(keys: RunKeys, written: number, last: EventId): Promise<void> {
    const numbers = [maxEvents ?? 0, maxBytes ?? 0, written, deps.ttlMs, STEP_EVENTS].map(String);
    const dropped = await runScript(send, deps.scripts.trim, [keys.events, keys.trimmed], [last, ...numbers]);
    if (dropped === STEP_EVENTS) await trim(keys, written, last);
  }

  return {
    grown(keys, size, payloads, last) {
      size.events += payloads.length;
      if (maxBytes !== null) {
        let bytes = 0;
        for (const payload of payloads) bytes += Buffer.byteLength(payload);
        size.bytes += bytes;
        size.written += bytes;
      }
      if (size.events <= mostEvents && size.bytes <= mostBytes) return;
      size.events = Math.min(size.events, maxEvents ?? size.events);
      size.bytes = Math.min(size.bytes, maxBytes ?? size.bytes);
      trim(keys, size.written, last).catch((error: unknown) => {
        // The script looks at the stream as it is: the next trim makes up for this one.
        deps.logger.debug('a stream could not be trimmed', { reason: errorText(error) });
      });
    },
  };
}

function over(limit: number | null, slack: number): number {
  return limit === null ? Number.POSITIVE_INFINITY : limit + Math.max(Math.floor(limit * SLACK), slack);
}
