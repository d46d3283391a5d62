// What the stub's handlers read and answer with: bodies within a bound and whatever their media type, names in paths, bytes that
// pass through, and refusals in FastAPI's shape (spec 05 §4).

import type { JsonValue } from '../../base/json.ts';
import type { AssetBytes } from '../../stub/config-assets.ts';
import { InvalidStubRequest, StubError } from '../../stub/errors.ts';
import { jsonInvalidIssue, missingBodyIssue, printDetail } from '../../validation/fastapi.ts';
import { parseJsonBytes, stringifyJson } from '../../wiretext/json.ts';
import { type BodyLimits, readBody, unreadHeaders } from '../body.ts';
import { unreadableBody } from '../errors.ts';
import { isJsonMediaType } from '../input.ts';
import { jsonResponse } from '../responses.ts';
import { queryOf } from '../target.ts';

/** Largest body (spec 05 §12.1). Files never come this way; the text of a note does. */
const MAX_BODY_BYTES = 1024 * 1024;
/** Nobody reads this answer: its caller has gone. The status is nginx's, for the log. */
const CLIENT_CLOSED = 499;

/** The parsed body. Throws HttpError (400, 408, 413) and InvalidStubRequest. */
export async function readStubBody(request: Request, limits: Omit<BodyLimits, 'maxBytes'>): Promise<JsonValue> {
  const bytes = await readBody(request, { ...limits, maxBytes: MAX_BODY_BYTES });
  if (bytes.byteLength === 0) throw new InvalidStubRequest('body', [missingBodyIssue()]);
  const type = request.headers.get('content-type');
  // Without a type it is JSON; with another one it is a text, which no schema takes.
  if (type !== null && !isJsonMediaType(type)) return new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes);
  const parsed = parseJsonBytes(bytes);
  if (!parsed.ok) {
    if (parsed.failure.kind !== 'syntax') throw unreadableBody();
    throw new InvalidStubRequest('body', [jsonInvalidIssue(parsed.failure.message, parsed.failure.offset)]);
  }
  if (parsed.value === null) throw new InvalidStubRequest('body', [missingBodyIssue()]);
  return parsed.value;
}

/** A segment of a path, decoded; bad escapes stay as they are. Empty when there is none. */
export function segmentOf(path: string, index: number): string {
  const segment = path.split('/')[index] ?? '';
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment;
  }
}

/** The query of the drive manifest; the last of repeated parameters counts. */
export function driveQuery(request: Request): Readonly<Record<string, string>> {
  const query = queryOf(request.url);
  const found = ['prefix', 'include_download_url'].flatMap((name) => {
    const text = query.getAll(name).at(-1);
    return text === undefined ? [] : [[name, text] as const];
  });
  return Object.fromEntries(found);
}

/** Bytes that pass through. Without a length: Bun sends a stream in chunks, and one that breaks off is seen to. */
export function bytesAnswer({ mediaType, stream }: AssetBytes): Response {
  return new Response(stream, { headers: { 'content-type': mediaType, 'cache-control': 'no-store' } });
}

/** The answer to what an operation throws. Rethrows what the server answers, or what nobody expected. */
export function refusal(error: unknown, request: Request): Response {
  if (error instanceof InvalidStubRequest) return jsonResponse(422, printDetail(error.issues, [error.source]));
  if (error instanceof StubError) {
    const { status, detail, retryAfter } = error;
    // Who is refused before the body is read may still be sending it.
    const unread = request.bodyUsed ? {} : unreadHeaders(request);
    const later = retryAfter === null ? {} : { 'retry-after': String(retryAfter) };
    return jsonResponse(status, stringifyJson({ detail }), { ...unread, ...later });
  }
  if (request.signal.aborted) return jsonResponse(CLIENT_CLOSED, '{"detail":"client closed the request"}');
  throw error;
}
