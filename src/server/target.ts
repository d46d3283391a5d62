// What a request asks for: path, query and run id as the reference's framework reads them. Bun hands over an absolute
// URL, or only the target when the Host header is missing or malformed.

/** A request target in its parts. */
export interface Target {
  /** Percent-encoded, begins with `/` (else the target is no path). */
  readonly path: string;
  /** With its `?`; empty when nothing follows it. */
  readonly query: string;
}

/** Splits `request.url`. */
export function parseTarget(url: string): Target {
  const scheme = url.startsWith('/') ? -1 : url.indexOf('://');
  const start = scheme === -1 ? 0 : url.indexOf('/', scheme + 3);
  const hash = url.indexOf('#', start);
  const end = hash === -1 ? url.length : hash;
  const mark = url.indexOf('?', start);
  if (mark === -1 || mark > end) return { path: url.slice(start, end), query: '' };
  return { path: url.slice(start, mark), query: mark + 1 === end ? '' : url.slice(mark, end) };
}

/** Longer run ids than this are simply unknown. */
const MAX_RUN_ID_LENGTH = 512;

/**
 * The run id of `/runs/{run_id}/…`, percent-decoded as Python does: bad escapes stay, bad UTF-8 becomes U+FFFD.
 * Null: too long to be a run id.
 */
export function runIdOf(path: string): string | null {
  const end = path.indexOf('/', RUNS_PREFIX.length);
  const segment = path.slice(RUNS_PREFIX.length, end === -1 ? undefined : end);
  if (segment.length > MAX_RUN_ID_LENGTH) return null;
  return segment.includes('%') ? percentDecode(segment) : segment;
}

const RUNS_PREFIX = '/runs/';

function percentDecode(text: string): string {
  return text.replace(/(?:%[0-9A-Fa-f]{2})+/g, (escapes) =>
    new TextDecoder('utf-8', { ignoreBOM: true }).decode(Uint8Array.fromHex(escapes.replaceAll('%', ''))),
  );
}

/** The query of a URL. */
export function queryOf(url: string): URLSearchParams {
  return new URLSearchParams(parseTarget(url).query);
}
