// One page of events as text (spec 01 §2): stored payloads are joined, not parsed.

import type { Logger } from '../observe/logger.ts';
import type { StoredEventReader } from '../protocol/stored-event.ts';
import type { StoredEvent } from '../runs/ports.ts';

/** Says that events are missing in the page: they were dropped to keep the run's stream bounded. */
const TRIMMED_HEADERS = { 'x-agent-events-trimmed': 'true' };

/** Headers of the answer with these events, beyond those of every page. */
export function pageHeaders(events: readonly StoredEvent[]): Readonly<Record<string, string>> {
  return events.some((event) => event.trimmedBefore === true) ? TRIMMED_HEADERS : {};
}

/**
 * The body of `GET /runs/{id}/events`. `after` is the cursor as the caller wrote it: an empty page gives it back.
 * Unreadable events are skipped and logged, the cursor moves past them.
 */
export function eventPage(
  runId: string,
  after: string,
  events: readonly StoredEvent[],
  { reader, logger }: { readonly reader: StoredEventReader; readonly logger: Logger },
): string {
  const texts: string[] = [];
  for (const event of events) {
    const text = reader.read(event);
    if (text === null) logger.warn('unreadable event skipped', { run_id: runId, event_id: event.id });
    else texts.push(text.json);
  }
  const cursor = JSON.stringify(events.at(-1)?.id ?? after);
  return `{"run_id":${JSON.stringify(runId)},"events":[${texts.join(',')}],"next_cursor":${cursor}}`;
}
