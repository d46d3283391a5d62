// What the routes of the fake Dify API share: a request in its parts, and answers in the API's shapes.

/** A request. */
export interface Asked {
  readonly request: Request;
  readonly url: URL;
  readonly method: string;
  /** Of the path, percent-encoded. */
  readonly segments: readonly string[];
}

export type Answer = Response;

export function json(status: number, body: unknown): Answer {
  return Response.json(body, { status });
}

/** `{"code","message"}` (spec 05 §5.2). */
export function refuse(status: number, code: string, message: string): Answer {
  return json(status, { code, message, status });
}

/** What a path that exists says to another method. */
export function wrongMethod(): Answer {
  return refuse(405, 'method_not_allowed', 'The method is not allowed for the requested URL.');
}

export function unknownPath(): Answer {
  return refuse(404, 'not_found', 'The requested URL was not found on the server.');
}
