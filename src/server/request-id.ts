// Every answer carries x-request-id: the caller's own when it is sane, else a new one. Log lines carry it too.

const SANE = /^[\x21-\x7e]{1,128}$/;

/** The header's name. */
export const REQUEST_ID_HEADER = 'x-request-id';

/** The id of a request: the incoming header if it has 1 to 128 visible ASCII characters, else a UUID. */
export function requestIdOf(request: Request): string {
  const given = request.headers.get(REQUEST_ID_HEADER);
  return given !== null && SANE.test(given) ? given : crypto.randomUUID();
}
