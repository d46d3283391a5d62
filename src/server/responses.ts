// Bodies and headers of plain answers: compact JSON without a charset parameter (spec 01 §1.1), `{"detail":…}` errors.
// Bun sets content-length itself. Which answer is due is decided elsewhere.

/** JSON answers carry no charset parameter (spec 01 §1.1). */
const JSON_HEADERS: Readonly<Record<string, string>> = { 'content-type': 'application/json' };

/** A JSON answer; `body` is JSON text. */
export function jsonResponse(status: number, body: string, headers: Readonly<Record<string, string>> = {}): Response {
  return new Response(body, { status, headers: { ...JSON_HEADERS, ...headers } });
}

/** `{"detail":"<text>"}` */
export function detailBody(text: string): string {
  return JSON.stringify({ detail: text });
}

/** The answer to anything unexpected: exactly these 21 bytes (spec 01 §1.1). */
export function internalServerError(): Response {
  return new Response('Internal Server Error', {
    status: 500,
    headers: { 'content-type': 'text/plain; charset=utf-8' },
  });
}
