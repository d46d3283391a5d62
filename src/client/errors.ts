// What can go wrong between a client and the server. The classes and texts are the Python client's (spec 01 §8.2).
// Names are written out: a bundler that shortens classes must not shorten what people read.

/** Characters of a detail in a message; all of it is in `detail`. */
const MAX_SHOWN = 500;

/** Anything that this library throws, but for an aborted signal's reason. */
export class DifyAgentClientError extends Error {
  override readonly name: string = 'DifyAgentClientError';
}

/** The server said no. */
export class DifyAgentHTTPError extends DifyAgentClientError {
  override readonly name: string = 'DifyAgentHTTPError';
  readonly statusCode: number;
  /** The answer's `detail`, else the answer, as JSON or text. A 422 repeats what was sent: not for logs. */
  readonly detail: unknown;
  /** What `Retry-After` asks for, in ms; null when it does not. */
  readonly retryAfterMs: number | null;

  constructor(statusCode: number, detail: unknown, retryAfterMs: number | null = null) {
    super(`Dify Agent HTTP ${statusCode}: ${shown(detail)}`);
    this.statusCode = statusCode;
    this.detail = detail;
    this.retryAfterMs = retryAfterMs;
  }
}

/** 404: no such run, or it has expired. */
export class DifyAgentNotFoundError extends DifyAgentHTTPError {
  override readonly name = 'DifyAgentNotFoundError';
}

/** 422, an option that cannot be (422 too), or a successful answer that is not what it should be (then with its status). */
export class DifyAgentValidationError extends DifyAgentHTTPError {
  override readonly name = 'DifyAgentValidationError';
}

/** A request, a wait or a stream took too long. */
export class DifyAgentTimeoutError extends DifyAgentClientError {
  override readonly name = 'DifyAgentTimeoutError';
}

/** A stream broke in a way that connecting again does not mend, or too often. */
export class DifyAgentStreamError extends DifyAgentClientError {
  override readonly name = 'DifyAgentStreamError';
}

/** The text of anything thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message || error.name : String(error);
}

/** What a server says, cut: it may be of any length. */
export function cut(text: string): string {
  return text.length <= MAX_SHOWN ? text : `${text.slice(0, MAX_SHOWN)}…`;
}

/** On one line: where and what of each fault of a 422, without the values, which may be credentials. */
function shown(detail: unknown): string {
  if (typeof detail === 'string') return cut(detail);
  const faults = Array.isArray(detail) && detail.length > 0 && detail.every(isFault) ? detail : null;
  return cut(faults?.map(({ loc, msg }) => `${loc.join('.')}: ${msg}`).join('; ') ?? JSON.stringify(detail) ?? '');
}

function isFault(value: unknown): value is { readonly loc: readonly unknown[]; readonly msg: string } {
  const fault = (value ?? {}) as { readonly loc?: unknown; readonly msg?: unknown }; // any member may be missing
  return Array.isArray(fault.loc) && typeof fault.msg === 'string';
}
