// From a request to a validated value, in the order of the reference: media type, JSON syntax, schema (spec 01 §1.2,
// §1.3). Reading within bounds is body.ts', what a fault looks like on the wire validation/fastapi.ts'.

import type { JsonValue } from '../base/json.ts';
import type { Schema } from '../protocol/dialect.ts';
import { jsonInvalidIssue, missingBodyIssue } from '../validation/fastapi.ts';
import { compile } from '../validation/walker.ts';
import { parseJsonBytes } from '../wiretext/json.ts';
import { type BodyFault, type BodyLimits, readBody, tryReadBody } from './body.ts';
import { InvalidInputError, unreadableBody } from './errors.ts';

/** Reads and validates a body. Throws HttpError (400, 408, 413, 503) and InvalidInputError. */
export type BodyReader<T> = (request: Request) => Promise<T>;

/** A reader of bodies that are one object of `schema`. */
export function bodyReader<T>(schema: Schema<T>, limits: BodyLimits): BodyReader<T> {
  const check = compile(schema);
  return async (request) => {
    const body = await parseBody(request, limits);
    if (body === null) throw new InvalidInputError('body', [missingBodyIssue()]);
    const result = check(body, { mode: 'attributes' });
    if (result.ok) return result.value;
    throw new InvalidInputError('body', result.issues);
  };
}

/** The parsed JSON; the raw text when the media type is not JSON; null when there is no body. */
async function parseBody(request: Request, limits: BodyLimits): Promise<JsonValue> {
  const bytes = await readBody(request, limits);
  if (bytes.byteLength === 0) return null;
  if (!isJsonMediaType(request.headers.get('content-type'))) {
    return new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes);
  }
  return parseJson(bytes);
}

/**
 * Looks at nothing but the syntax of a JSON body. Null: there is nothing wrong with it, or no body; a fault: it cannot be
 * read within the limits. Throws HttpError (400) and InvalidInputError.
 */
export async function checkSyntax(request: Request, limits: BodyLimits): Promise<BodyFault | null> {
  const read = await tryReadBody(request, limits);
  if (!(read instanceof Uint8Array)) return read;
  if (read.byteLength > 0) parseJson(read);
  return null;
}

function parseJson(bytes: Uint8Array): JsonValue {
  const parsed = parseJsonBytes(bytes);
  if (parsed.ok) return parsed.value;
  if (parsed.failure.kind !== 'syntax') throw unreadableBody();
  throw new InvalidInputError('body', [jsonInvalidIssue(parsed.failure.message, parsed.failure.offset)]);
}

/** `application/json` or `application/*+json`, parameters ignored (spec 01 §1.2). */
export function isJsonMediaType(value: string | null): boolean {
  if (value === null) return false;
  if (value === 'application/json') return true;
  const end = value.indexOf(';');
  const type = (end === -1 ? value : value.slice(0, end)).trim().toLowerCase();
  return type.startsWith(APPLICATION) && /^(?:json|[^/]*\+json)$/.test(type.slice(APPLICATION.length));
}

const APPLICATION = 'application/';
