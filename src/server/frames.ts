// Stored events as SSE frames (spec 01 §3). A frame is encoded once per stored event, however many streams send it.

import { isTerminalType, type StoredEventReader } from '../protocol/stored-event.ts';
import type { StoredEvent } from '../runs/ports.ts';

/** One event on the wire: `id: …\nevent: …\ndata: …\n\n` */
export interface Frame {
  readonly bytes: Uint8Array;
  /** Nothing follows it. */
  readonly terminal: boolean;
}

/** Frames of stored events, shared by all streams of a server. */
export interface FrameCache {
  /** Null: the payload is no event; skip it. */
  frame(reader: StoredEventReader, event: StoredEvent): Frame | null;
}

/** A cache that forgets a frame together with its event. */
export function createFrameCache(): FrameCache {
  const frames = new WeakMap<StoredEvent, Frame | null>();
  const encoder = new TextEncoder();
  return {
    frame(reader, event) {
      const known = frames.get(event);
      if (known !== undefined) return known;
      const text = reader.read(event);
      const frame =
        text === null
          ? null
          : {
              bytes: encoder.encode(`id: ${event.id}\nevent: ${text.type}\ndata: ${text.json}\n\n`),
              terminal: isTerminalType(text.type),
            };
      frames.set(event, frame);
      return frame;
    },
  };
}

/** Several chunks as one; a single one is passed on as it is. */
export function joinChunks(chunks: readonly Uint8Array[]): Uint8Array {
  const [first] = chunks;
  if (chunks.length === 1 && first !== undefined) return first;
  return Buffer.concat(chunks);
}

/** A comment that keeps proxies and clients with a read timeout from hanging up (spec 01 §10.1). */
export const KEEPALIVE: Uint8Array = new TextEncoder().encode(': keepalive\n\n');

/** Comes before a frame when events between it and the one before were dropped to keep the run's stream bounded. */
export const TRIMMED: Uint8Array = new TextEncoder().encode(': events before this one were trimmed\n\n');
