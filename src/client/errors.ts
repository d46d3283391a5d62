// What can go wrong between a client and the server. The classes and texts are the Python client's (spec 01 §8.2).

/** Anything that this library throws, but for an aborted signal's reason. */
export class DifyAgentClientError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
  }
}

/** The server said no. */
export class DifyAgentHTTPError extends DifyAgentClientError {
  readonly statusCode: number;
  /** The answer's `detail`, else the answer, as JSON or text. */
  readonly detail: unknown;
  /** What `Retry-After` asks for, in ms; null when it does not. */
  readonly retryAfterMs: number | null;

  constructor(statusCode: number, detail: unknown, retryAfterMs: number | null = null) {
    super(`Dify Agent HTTP ${statusCode}: ${typeof detail === 'string' ? detail : JSON.stringify(detail)}`);
    this.statusCode = statusCode;
    this.detail = detail;
    this.retryAfterMs = retryAfterMs;
  }
}

/** 404: no such run, or it has expired. */
export class DifyAgentNotFoundError extends DifyAgentHTTPError {}

/** 422, an option that cannot be, or a successful answer that is not what it should be (then with its status). */
export class DifyAgentValidationError extends DifyAgentHTTPError {}

/** A request, a wait or a stream took too long. */
export class DifyAgentTimeoutError extends DifyAgentClientError {}

/** A stream broke in a way that connecting again does not mend, or too often. */
export class DifyAgentStreamError extends DifyAgentClientError {}
