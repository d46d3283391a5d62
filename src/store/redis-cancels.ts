// Cancels: the wish of any process is written durably and announced on one stream, and one blocking XREAD per process hears it
// for all its runs. What was announced while nobody listened, or never (another implementation does not announce), is found by
// the look at all own runs: whenever this reader has connected, and with each renewal of the lease.

import { setTimeout as pause } from 'node:timers/promises';
import { errorText } from '../base/errors.ts';
import type { Logger } from '../observe/logger.ts';
import type { CancelIntent, CancelOutcome } from '../runs/ports.ts';
import { toStoreError } from './errors.ts';
import { dial } from './redis-connection.ts';
import { type Complaints, RedisRefusal } from './redis-errors.ts';
import type { RunKeys } from './redis-keys.ts';
import { besides, createLink, type RedisLink } from './redis-link.ts';
import { intentText, parseIntent } from './redis-record.ts';
import type { Requests } from './redis-requests.ts';
import type { Scripts } from './redis-scripts.ts';

/** The longest wait of one XREAD, ms. */
const BLOCK_MS = 5_000;
/** Announcements that are read at once. */
const READ_COUNT = 1_000;
/** Announcements that are kept, about; who misses one looks at its runs. */
const KEPT = 10_000;
/** How long they are kept after the last one, ms. */
const KEPT_MS = 600_000;
/** The longest text that is announced, bytes: a reason may be as long as a request, and there are many announcements. */
const ANNOUNCED_BYTES = 4_096;
/** Delay before a failed XREAD is repeated, ms. */
const READ_AGAIN_MS = 1_000;

export interface CancelsOptions {
  readonly url: string;
  /** The connection for commands that do not block. */
  readonly link: RedisLink;
  readonly requests: Requests;
  readonly scripts: Scripts;
  readonly keysOf: (runId: string) => RunKeys;
  /** The stream of announcements. */
  readonly key: string;
  readonly retentionMs: number;
  /** A cancel that stands; mostly of another process's run. */
  readonly onCancel: (runId: string, intent: CancelIntent) => void;
  /** A cancel that stands and whose text is too long to be announced: it must be looked for. */
  readonly onUntold: (runId: string) => void;
  /** Everything announced from now on is heard: what was before must be looked for. */
  readonly onListening: () => void;
  readonly logger: Logger;
  readonly complaints: Complaints;
}

export interface Cancels {
  /** As RunStore.requestCancel. */
  request(runId: string, intent: CancelIntent): Promise<CancelOutcome>;
  /** Listens from now on, on a connection of its own. */
  listen(): void;
  close(): void;
}

export function createCancels(options: CancelsOptions): Cancels {
  const { link, key, logger } = options;
  let listening: RedisLink | null = null;
  let closed = false;

  async function loop(own: RedisLink): Promise<void> {
    /** The connection that is read from, and how far. */
    let connection = own.connection;
    let cursor: string | null = null;
    while (!closed) {
      if (own.connection !== connection || connection === null) {
        connection = own.connection;
        cursor = null;
        if (connection === null) await own.whenUp(BLOCK_MS);
        continue;
      }
      try {
        if (cursor === null) {
          // Anew for each connection: it may lead to another server, whose ids are behind.
          const [last] = entriesOf(await connection.send(['XREVRANGE', key, '+', '-', 'COUNT', '1']));
          cursor = last?.id ?? '0-0';
          options.onListening();
        }
        const words = ['XREAD', 'COUNT', String(READ_COUNT), 'BLOCK', String(BLOCK_MS), 'STREAMS', key, cursor];
        const reply = await connection.send(words);
        const stream = Array.isArray(reply) ? reply[0] : null;
        for (const { id, run, payload } of entriesOf(Array.isArray(stream) ? stream[1] : null)) {
          cursor = id;
          if (run === undefined || payload === undefined) continue;
          if (payload === '') options.onUntold(run);
          else options.onCancel(run, parseIntent(payload));
        }
      } catch (error) {
        if (error instanceof RedisRefusal) {
          options.complaints.about(error, 'cancels');
          if (error.wantsReconnect) own.reset(error);
        }
        await Promise.race([connection.ended, pause(READ_AGAIN_MS, undefined, { ref: false })]);
      }
    }
  }

  return {
    async request(runId, intent) {
      const { record, events, intent: intentKey } = options.keysOf(runId);
      const bounds = [options.retentionMs, KEPT, KEPT_MS, ANNOUNCED_BYTES].map(String);
      const args = [runId, intentText(intent), ...bounds];
      let reply: unknown;
      try {
        reply = await options.requests.run(options.scripts.cancel, [record, events, intentKey, key], args);
      } catch (error) {
        throw toStoreError(error);
      }
      const [status, standing]: unknown[] = Array.isArray(reply) ? reply : [];
      if (status === 'running') {
        options.onCancel(runId, parseIntent(String(standing)));
        return { accepted: true, status };
      }
      if (status === 'cancelled') return { accepted: true, status };
      return { accepted: false, status: status === 'succeeded' || status === 'failed' ? status : null };
    },
    listen() {
      if (listening !== null || closed) return;
      listening = createLink({
        dial: () => dial({ url: options.url, name: 'dify-agent-cancels', blockMs: BLOCK_MS }),
        logger: besides(link, logger, 'no connection to hear of cancels'),
      });
      loop(listening).catch((error: unknown) => {
        logger.error('cancels are heard late from now on', { reason: errorText(error) });
      });
    },
    close() {
      closed = true;
      listening?.close();
    },
  };
}

interface Announcement {
  readonly id: string;
  readonly run: string | undefined;
  readonly payload: string | undefined;
}

/** RESP2: [[id, [field, value, …]], …]. */
function entriesOf(reply: unknown): readonly Announcement[] {
  if (!Array.isArray(reply)) return [];
  return reply.map((entry: unknown) => {
    const [id, words]: unknown[] = Array.isArray(entry) ? entry : [];
    const fields = new Map<string, string>();
    if (Array.isArray(words)) {
      for (let i = 0; i + 1 < words.length; i += 2) fields.set(String(words[i]), String(words[i + 1]));
    }
    return { id: String(id), run: fields.get('run'), payload: fields.get('payload') };
  });
}
