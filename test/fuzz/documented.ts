// Calls every operation of a server's own OpenAPI document with random input, made from its schemas and then spoilt, and checks
// what the document promises: a documented status, the documented type of content, and never 500. The document decides what is
// called; a new route is fuzzed as soon as it is described.

import { type Random, randomText } from './random.ts';

type Schema = { readonly [key: string]: unknown };

interface Parameter {
  readonly name: string;
  readonly in: 'path' | 'query' | 'header';
  readonly schema?: Schema;
}

interface Operation {
  readonly operationId?: string;
  readonly parameters?: readonly Parameter[];
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema: Schema }>> };
  readonly responses: Readonly<Record<string, { readonly content?: Readonly<Record<string, unknown>> }>>;
}

/** The part of an OpenAPI document that is read here. */
export interface ApiDocument {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components?: { readonly schemas?: Readonly<Record<string, Schema>> };
}

/** Answers that any operation may give without saying so for itself (docs/http-api.md). */
const EVERYWHERE = [401, 404, 405, 413, 503];
/** Deeper than that, the smallest value is taken. */
const MAX_DEPTH = 6;
/** One answer; a stream is left after its head. */
const ANSWER_MS = 20_000;

/** Seen by the tally as `operation status`. */
export async function playOperations(
  url: string,
  document: ApiDocument,
  random: Random,
  rounds: number,
  options: { readonly headers?: Readonly<Record<string, string>>; readonly ids?: readonly string[] } = {},
): Promise<ReadonlyMap<string, number>> {
  const tally = new Map<string, number>();
  for (let round = 0; round < rounds; round += 1) {
    for (const [path, operations] of Object.entries(document.paths)) {
      for (const [method, operation] of Object.entries(operations)) {
        const request = makeRequest({ path, method, operation, document, random, ids: options.ids ?? [] });
        const status = await playOne(url, request, operation, options.headers ?? {});
        const key = `${method} ${path} ${status}`;
        tally.set(key, (tally.get(key) ?? 0) + 1);
      }
    }
  }
  return tally;
}

interface MadeRequest {
  readonly method: string;
  readonly target: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | null;
}

async function playOne(
  url: string,
  { method, target, headers, body }: MadeRequest,
  operation: Operation,
  extra: Readonly<Record<string, string>>,
): Promise<number> {
  const gone = new AbortController();
  const timer = setTimeout(() => gone.abort(new Error('no answer')), ANSWER_MS);
  const told = `${method.toUpperCase()} ${target} ${JSON.stringify(headers)} ${body ?? ''}`;
  try {
    const response = await fetch(url + target, {
      method,
      headers: { ...headers, ...extra },
      body,
      redirect: 'manual',
      signal: gone.signal,
      proxy: false,
    } as RequestInit); // the DOM's type does not know `proxy`
    const { status } = response;
    const type = response.headers.get('content-type')?.split(';')[0] ?? '';
    const expected = [...Object.keys(operation.responses).map(Number), ...EVERYWHERE];
    // A path with nothing in a segment is another path, and ends where the router sends it.
    if (!expected.includes(status) && !(status === 307 && target.includes('//'))) {
      throw new Error(`${status} is not documented for ${told}: ${(await response.text()).slice(0, 300)}`);
    }
    const content = Object.keys(operation.responses[String(status)]?.content ?? {});
    if (content.length > 0 && type !== '' && !content.includes(type)) {
      throw new Error(`${type} is not documented for ${status} of ${told}`);
    }
    if (type === 'application/json') JSON.parse(await response.text());
    else await response.body?.cancel();
    return status;
  } catch (error) {
    throw new Error(`${told}: ${error instanceof Error ? error.message : error}`, { cause: error });
  } finally {
    clearTimeout(timer);
  }
}

interface Making {
  readonly path: string;
  readonly method: string;
  readonly operation: Operation;
  readonly document: ApiDocument;
  readonly random: Random;
  /** Ids that exist: half of the path parameters are one of these. */
  readonly ids: readonly string[];
}

function makeRequest({ path, method, operation, document, random, ids }: Making): MadeRequest {
  const query: string[] = [];
  const headers: Record<string, string> = {};
  let target = path;
  for (const parameter of operation.parameters ?? []) {
    const value = textOf(valueFor(parameter.schema ?? {}, document, random, 0), random);
    if (parameter.in === 'path') {
      const known = ids.length > 0 && random.chance(0.5) ? random.pick(ids) : value;
      target = target.replace(`{${parameter.name}}`, encodeURIComponent(known.toWellFormed()) || 'x');
    } else if (random.chance(0.6)) {
      if (parameter.in === 'query') query.push(`${parameter.name}=${encodeURIComponent(value.toWellFormed())}`);
      else headers[parameter.name] = headerText(value);
    }
  }
  const schema = operation.requestBody?.content['application/json']?.schema;
  let body: string | null = null;
  if (schema !== undefined) {
    headers['content-type'] = random.chance(0.9) ? 'application/json' : 'text/plain';
    const made = valueFor(schema, document, random, 0);
    body = JSON.stringify(random.chance(0.5) ? spoilt(made, random) : made);
    if (random.chance(0.05)) body = body.slice(0, random.int(body.length));
  }
  return { method, target: query.length === 0 ? target : `${target}?${query.join('&')}`, headers, body };
}

/** A value that mostly fits the schema. */
function valueFor(schema: Schema, document: ApiDocument, random: Random, depth: number): unknown {
  const { $ref: reference, const: constant, enum: choices, anyOf, oneOf, allOf, type } = schema;
  if (typeof reference === 'string') {
    const name = reference.split('/').at(-1) ?? '';
    return valueFor(document.components?.schemas?.[name] ?? {}, document, random, depth + 1);
  }
  if (constant !== undefined) return constant;
  if (Array.isArray(choices)) return random.pick(choices);
  const several = [anyOf, oneOf, allOf].find(Array.isArray);
  if (several !== undefined) return valueFor(random.pick(several), document, random, depth + 1);
  switch (Array.isArray(type) ? random.pick(type) : type) {
    case 'string':
      return random.chance(0.8) ? randomText(random) : 'x'.repeat(random.int(3_000));
    case 'integer':
      return random.pick([0, 1, -1, 50, 500, 2 ** 31, 2 ** 53, -(2 ** 63)]);
    case 'number':
      return random.pick([0, 0.5, -1, 1e300, 5e-324]);
    case 'boolean':
      return random.chance(0.5);
    case 'null':
      return null;
    case 'array': {
      const items = (schema.items ?? {}) as Schema; // JSON Schema: an object where there is one
      return depth > MAX_DEPTH ? [] : random.some(3, () => valueFor(items, document, random, depth + 1));
    }
    default:
      return objectOf(schema, document, random, depth);
  }
}

function objectOf(schema: Schema, document: ApiDocument, random: Random, depth: number): unknown {
  const properties = (schema.properties ?? {}) as Readonly<Record<string, Schema>>; // JSON Schema: schemas by name
  const required = Array.isArray(schema.required) ? schema.required : [];
  const entries = Object.entries(properties)
    .filter(([name]) => required.includes(name) || (depth <= MAX_DEPTH && random.chance(0.4)))
    .map(([name, property]) => [name, valueFor(property, document, random, depth + 1)]);
  if (random.chance(0.1)) entries.push([randomText(random), null]);
  return Object.fromEntries(entries);
}

/** With one part replaced by something of another kind. */
function spoilt(value: unknown, random: Random): unknown {
  if (typeof value !== 'object' || value === null || random.chance(0.2)) {
    return random.pick<unknown>([
      null,
      true,
      1.5,
      '',
      'x',
      [],
      {},
      [[[]]],
      { __proto__: null, constructor: 1 },
      '\ud800',
    ]);
  }
  const keys = Object.keys(value);
  if (keys.length === 0) return { unexpected: randomText(random) };
  const chosen = random.pick(keys);
  const changed = Object.entries(value).map(([key, part]) => [key, key === chosen ? spoilt(part, random) : part]);
  return Array.isArray(value) ? changed.map(([, part]) => part) : Object.fromEntries(changed);
}

function textOf(value: unknown, random: Random): string {
  if (random.chance(0.15))
    return random.pick(['..', '%', '0-0', '18446744073709551616-0', '-1', ' ', 'x'.repeat(5_000)]);
  return typeof value === 'string' ? value : JSON.stringify(value);
}

/** What fetch lets into a header. */
function headerText(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, '').trim();
}
