// Who may call (spec 01 §1.4): static tokens, as Bearer or as the password of HTTP Basic. A route is protected unless it
// declares itself open (openapi/operation.ts); server.ts asks here before a request reaches any handler.

import { createHash, timingSafeEqual } from 'node:crypto';
import type { AccessSettings } from '../config/settings.ts';
import { type BodyBudget, createBodyBudget, unreadHeaders } from './body.ts';
import { HttpError } from './errors.ts';
import { checkSyntax, isJsonMediaType } from './input.ts';

/** The door of the protected routes. */
export interface Access {
  /** Whether there are tokens; without them everybody may call. */
  readonly required: boolean;
  /** Null: the request may pass. Else what keeps it out: a 401, or the fault that the reference tells first. */
  refusal(request: Request): Promise<HttpError | null>;
}

/** Without a token we read no more of a body than this; requests that only ask are far smaller. */
export const ANONYMOUS_BODY_BYTES = 65_536;
/** And no more of all such bodies together: 64 of the largest. Beyond it a body's syntax is nobody's business. */
const ANONYMOUS_PENDING_BYTES = 64 * ANONYMOUS_BODY_BYTES;
/** And so long, at most. */
const ANONYMOUS_BODY_TIMEOUT_MS = 10_000;

const CHALLENGE = { 'www-authenticate': 'Bearer' };
const METHODS_WITH_BODY: ReadonlySet<string> = new Set(['POST', 'PUT', 'PATCH']);

/**
 * The access rules of a server.
 *
 * @param bodyTimeoutMs how long any body may take
 */
export function createAccess({ apiToken, apiTokensPrevious }: AccessSettings, bodyTimeoutMs: number): Access {
  if (apiToken === null) return { required: false, refusal: () => Promise.resolve(null) };
  const isToken = tokenTest([apiToken, ...apiTokensPrevious]);
  const budget = createBodyBudget(ANONYMOUS_PENDING_BYTES);
  const timeoutMs = Math.min(bodyTimeoutMs, ANONYMOUS_BODY_TIMEOUT_MS);
  return {
    required: true,
    async refusal(request) {
      const fault = headerFault(request.headers.get('authorization'), isToken);
      return fault === null ? null : await refusalOf(request, fault, budget, timeoutMs);
    },
  };
}

/**
 * The reference looks at a body's syntax before it looks at the token, so malformed JSON is 422 for everybody. Bodies that
 * are not small, or do not come, are not worth that: they get their 401 unread. Throws what is wrong with the syntax.
 */
async function refusalOf(request: Request, fault: string, budget: BodyBudget, timeoutMs: number): Promise<HttpError> {
  const refused = (headers: Readonly<Record<string, string>> = {}) =>
    new HttpError(401, fault, { ...CHALLENGE, ...headers });
  if (!METHODS_WITH_BODY.has(request.method)) return refused();
  if (!isJsonMediaType(request.headers.get('content-type'))) return refused(unreadHeaders(request));
  const unread = await checkSyntax(request, { maxBytes: ANONYMOUS_BODY_BYTES, timeoutMs, budget });
  return refused(unread === null ? {} : unreadHeaders(request, unread));
}

/** What is wrong with the Authorization header, in the reference's words; null: nothing. */
function headerFault(header: string | null, isToken: (text: string) => boolean): string | null {
  if (header === null) return 'missing authorization header';
  const space = header.indexOf(' ');
  const scheme = (space === -1 ? header : header.slice(0, space)).toLowerCase();
  const rest = space === -1 ? '' : header.slice(space + 1).trim();
  const token = scheme === 'bearer' ? rest : scheme === 'basic' ? passwordOf(rest) : '';
  if (token === '') return 'invalid authorization scheme';
  return isToken(token) ? null : 'invalid bearer token';
}

/** The password in the credentials of HTTP Basic (RFC 7617); empty when there is none. */
function passwordOf(credentials: string): string {
  const text = Buffer.from(credentials, 'base64').toString('utf8');
  const colon = text.indexOf(':');
  return colon === -1 ? '' : text.slice(colon + 1).trim();
}

/** Compares with every token, in the same time whichever it is and however much of it is right. */
function tokenTest(tokens: readonly string[]): (text: string) => boolean {
  const digests = tokens.map(digest);
  return (text) => {
    const given = digest(text);
    let found = false;
    for (const known of digests) found = timingSafeEqual(known, given) || found;
    return found;
  };
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
