// Spec 01 §9, as far as it concerns a client: each item of the list, and the tests that hold it. A test that is renamed or
// lost is noticed here.

import { expect, test } from 'bun:test';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../support/binary.ts';

/** An item in the words of §9 → tests, `file: title` of this folder. */
const ITEMS: Readonly<Record<string, readonly string[]>> = {
  // Client
  'create not retried on timeout': [
    'client: is not tried again: after a time-out, a cut, a 503',
    'hostile: a request that dies on a kept connection is not sent again when it creates something',
  ],
  'error mapping 404/422/500': [
    'client: %i has its class, and all are DifyAgentClientErrors',
    'both: every recorded refusal has its class, and its detail as it came',
  ],
  'raw dict refused': ['hostile: what is no request of a run is refused before it is sent'],
  'parser: comments, multi-line data': [
    'stream: comments, several data lines and unknown fields',
    'sse: comments, unknown fields and frames without data are dropped',
  ],
  'parser: id fill-in': [
    'stream: the id of the frame fills in for a payload without one, and for null',
    'stream: the id of the payload wins',
  ],
  'Unicode separators preserved': [
    'stream: bytes cut anywhere, with characters of four bytes, separators and a BOM',
    'sse: %j ends no line',
  ],
  'stops after each terminal': ['stream: stops after %s, whatever follows, and closes the connection'],
  'no reconnect after terminal (normal end or transport error)': [
    'stream: with untilTerminal false it reads on to the end of the response',
    'stream: after a terminal event a broken end is an end',
  ],
  'resumes with last id (`0-0` then `1-0`)': [
    'stream: carries the cursor in the query, never in a header',
    'stream: goes on after the last event that was handed out: after an end, a cut, a reset',
  ],
  '5xx retried with the same cursor': ['stream: 5xx is tried again with the same cursor'],
  // The default of our client is 8 (issue 8: a budget that progress resets), of the Python one 3.
  'budget 1 → 2 calls, default → 4 calls': ['stream: a budget of %p makes %i calls'],
  'total timeout 0 → no call': ['stream: 0 makes no call'],
  'heartbeat lets a stop flag be seen': ['stream: ends an open connection, heartbeats or not'],
  'malformed frame → one call': ['stream: %s: one call, after the events before it'],
  'read timeout reconnects': [
    'stream: a silent connection is left and replaced',
    'stream: so is one that never answers',
  ],
  'cancel-and-wait: resumes after cursor': ['client: cancelRunAndWait goes on after the cursor'],
  'cancel-and-wait: replays from `0-0` when already cancelled': [
    'client: replays from the beginning when the run is cancelled already',
  ],
  // Routes, as a client sees them
  'create: valid full graph → 202; blank prompt list → 202 …': ['both: %s'],
  'status: unknown → 404': ['both: runs that nobody knows, and names that are none'],
  'cancel: conflict → 409, before any stream': ['client: a conflict is an error before any stream'],
  'auth: correct token passes': ['stream: carries the token and the headers of the client and of the call'],
  // SSE and stores, as a client sees them
  'U+0085/2028/2029 decode back to the same text': ['stream: bytes cut anywhere, with characters of four bytes'],
  'success with nested output + snapshot round-trips': [
    'stream: integers beyond 2^53 in a snapshot go back as they came',
    'both: %s',
  ],
  'ordering replay → live without gap or duplicate': [
    'many: in %s every stream hands out every event once, in order, whatever happens to its connections',
    'hostile: ids that go backwards, come twice or stand still are handed out once, in order',
  ],
};

test.each(Object.entries(ITEMS))('%s', (_, tests) => {
  for (const one of tests) {
    const colon = one.indexOf(': ');
    const text = readFileSync(join(ROOT, 'test/client', `${one.slice(0, colon)}.test.ts`), 'utf8');
    expect(text).toContain(`'${one.slice(colon + 2).replaceAll("'", "\\'")}`);
  }
});
