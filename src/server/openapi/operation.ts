// How a route describes itself for the OpenAPI document, in Elysia's `detail`. Schemas are the protocol's own; nothing
// is validated from here.

import type { DocumentDecoration } from 'elysia';
import { absent, any, dict, int, list, model, required, type Schema, str, union } from '../../protocol/dialect.ts';

/** One parameter of a path, query or header. */
export interface Parameter {
  readonly name: string;
  readonly in: 'path' | 'query' | 'header';
  readonly required: boolean;
  readonly schema: Schema;
}

/** What an answer holds. */
export interface ResponseDescription {
  readonly description: string;
  /** Absent: no body worth describing. */
  readonly schema?: Schema;
  /** Default `application/json`. */
  readonly mediaType?: string;
}

/** What the document says about a route. */
export interface Operation {
  readonly operationId: string;
  readonly summary: string;
  readonly tags: readonly string[];
  readonly description?: string;
  readonly parameters?: readonly Parameter[];
  /** A JSON body, required. */
  readonly body?: Schema;
  readonly responses: Readonly<Record<number, ResponseDescription>>;
  /** Anybody may call it, with or without a token. Default: only who has one, where tokens are configured. */
  readonly open?: true;
}

/** OpenAPI's way to say that a route needs no credentials. */
const NO_SECURITY = { security: [] };

/** An operation as Elysia keeps it beside the route. */
export function describe({ body, responses, open, ...rest }: Operation): DocumentDecoration {
  const detail = {
    ...rest,
    ...(open === true ? NO_SECURITY : {}),
    ...(body === undefined
      ? {}
      : { requestBody: { required: true, content: { 'application/json': { schema: body } } } }),
    responses: Object.fromEntries(
      Object.entries(responses).map(([status, { description, schema, mediaType = 'application/json' }]) => [
        status,
        { description, ...(schema === undefined ? {} : { content: { [mediaType]: { schema } } }) },
      ]),
    ),
  };
  return detail as unknown as DocumentDecoration; // document.ts turns our schemas into OpenAPI's when it is asked for
}

/** For routes that the document leaves out. `open`: as in Operation. */
export function hidden({ open }: Pick<Operation, 'open'> = {}): DocumentDecoration {
  return open === true ? { hide: true, ...NO_SECURITY } : { hide: true };
}

/** Whether a route said of itself that anybody may call it. */
export function isOpen(detail: DocumentDecoration | undefined): boolean {
  return detail?.security?.length === 0;
}

/** Answers that routes share. */
export interface CommonAnswers {
  /** An answer whose body is `{"detail":"…"}`. */
  error(description: string): ResponseDescription;
  /** FastAPI's 422 (spec 01 §1.3). */
  readonly invalid: ResponseDescription;
  /** 503: no store, or stopping. */
  readonly unavailable: ResponseDescription;
}

/** The shared answers with their schemas. */
export function commonAnswers(): CommonAnswers {
  const detail = model('ErrorDetail', { detail: required(str()) });
  const issue = model(
    'ValidationError',
    {
      loc: required(list(union({ str: str(), int: int() }))),
      msg: required(str()),
      type: required(str()),
      input: absent(any()),
      ctx: absent(dict(any())),
    },
    { extra: 'ignore' },
  );
  const issues = model('HTTPValidationError', { detail: required(list(issue)) }, { extra: 'ignore' });
  const error = (description: string): ResponseDescription => ({ description, schema: detail });
  return {
    error,
    invalid: { description: 'Validation Error', schema: issues },
    unavailable: error('The store does not answer or the process stops'),
  };
}
