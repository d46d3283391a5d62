// Reads bodies and queries as strictly as the server that the fake plays: FastAPI's 422 for Python, 400 for what Go cannot
// decode. Unlike Python it takes no "5" for 5: our client never sends that.

import { type Dialect, declared, Refusal } from './dialect.ts';

interface Problem {
  readonly type: string;
  readonly loc: readonly (string | number)[];
  readonly msg: string;
  readonly input: unknown;
}

/** What a field may be. */
export interface FieldRule {
  readonly kind: 'text' | 'number' | 'integer' | 'flag' | 'env' | 'terminal';
  readonly required?: boolean;
  readonly nullable?: boolean;
  readonly above?: number;
  readonly min?: number;
  readonly max?: number;
}

/** Fields by name. */
export type Rules = Readonly<Record<string, FieldRule>>;

/** Values by name; those that were not given are missing. */
export type Values = Readonly<Record<string, unknown>>;

/** The body as an object that follows the rules. Throws Refusal. */
export function readBody(dialect: Dialect, text: string, rules: Rules): Values {
  if (text === '') {
    if (dialect === 'go') return {};
    throw unprocessable([{ type: 'missing', loc: ['body'], msg: 'Field required', input: null }]);
  }
  const body = parse(text);
  if (dialect === 'go') {
    if (!isObject(body)) throw undecodable();
    const known = Object.entries(body).filter(([name]) => name in rules);
    if (problemsOf(Object.fromEntries(known), loosened(rules)).length > 0) throw undecodable();
    return Object.fromEntries(known);
  }
  if (body === undefined) {
    throw unprocessable([{ type: 'json_invalid', loc: ['body', 0], msg: 'JSON decode error', input: {} }]);
  }
  if (!isObject(body)) {
    throw unprocessable([
      {
        type: 'model_attributes_type',
        loc: ['body'],
        msg: 'Input should be a valid dictionary or object to extract fields from',
        input: body,
      },
    ]);
  }
  const extra = Object.keys(body)
    .filter((name) => !(name in rules))
    .map((name) => problem('extra_forbidden', name, 'Extra inputs are not permitted', body[name]));
  const problems = [...problemsOf(body, rules), ...extra];
  if (problems.length > 0) throw unprocessable(problems);
  return body;
}

/** The query like a body; texts become numbers and flags. Throws Refusal; the Go server ignores what it cannot read. */
export function readQuery(dialect: Dialect, query: URLSearchParams, rules: Rules): Values {
  const values: Record<string, unknown> = {};
  for (const [name, rule] of Object.entries(rules)) {
    const text = query.get(name);
    if (text === null) continue;
    values[name] = rule.kind === 'text' ? text : rule.kind === 'flag' ? flagOf(text) : numberOf(text);
  }
  const problems = problemsOf(values, rules, 'query');
  if (problems.length === 0) return values;
  if (dialect === 'python') throw unprocessable(problems);
  const wrong = new Set(problems.map(({ loc }) => loc[1]));
  return Object.fromEntries(Object.entries(values).filter(([name]) => !wrong.has(name)));
}

function problemsOf(values: Values, rules: Rules, where = 'body'): Problem[] {
  return Object.entries(rules).flatMap(([name, rule]) => {
    const value = values[name];
    if (value === undefined)
      return rule.required === true ? [problem('missing', name, 'Field required', values, where)] : [];
    if (value === null && rule.nullable === true) return [];
    const fault = faultOf(value, rule);
    return fault === null ? [] : [problem(fault[0], name, fault[1], value, where)];
  });
}

function faultOf(value: unknown, rule: FieldRule): readonly [type: string, message: string] | null {
  switch (rule.kind) {
    case 'text':
      return typeof value === 'string' ? null : ['string_type', 'Input should be a valid string'];
    case 'flag':
      return typeof value === 'boolean' ? null : ['bool_type', 'Input should be a valid boolean'];
    case 'env':
      return envFault(value);
    case 'terminal':
      return isObject(value) && isInside(value.cols, 1, 4096) && isInside(value.rows, 1, 4096)
        ? null
        : ['terminal', 'Input should be a valid terminal size'];
    case 'integer':
      if (!Number.isSafeInteger(value)) return ['int_type', 'Input should be a valid integer'];
      return rangeFault(value, rule);
    case 'number':
      if (typeof value !== 'number' || Number.isNaN(value)) return ['float_type', 'Input should be a valid number'];
      return rangeFault(value, rule);
  }
}

function rangeFault(value: unknown, { above, min, max }: FieldRule): readonly [string, string] | null {
  const number = Number(value);
  if (above !== undefined && number <= above) return ['greater_than', `Input should be greater than ${above}`];
  if (min !== undefined && number < min)
    return ['greater_than_equal', `Input should be greater than or equal to ${min}`];
  if (max !== undefined && number > max) return ['less_than_equal', `Input should be less than or equal to ${max}`];
  return null;
}

function envFault(value: unknown): readonly [string, string] | null {
  if (!isObject(value)) return ['dict_type', 'Input should be a valid dictionary'];
  for (const [name, text] of Object.entries(value)) {
    if (typeof text !== 'string') return ['string_type', 'Input should be a valid string'];
    if (name === '') return ['value_error', 'Value error, env names must be non-empty'];
    if (/[=\0]/.test(name)) return ['value_error', `Value error, env name must not contain '=': '${name}'`];
    if (text.includes('\0')) return ['value_error', `Value error, env value must not contain NUL: '${name}'`];
  }
  return null;
}

/** Go decodes types and leaves ranges to the handlers, which do not look. */
function loosened(rules: Rules): Rules {
  return Object.fromEntries(Object.entries(rules).map(([name, { kind }]) => [name, { kind, nullable: true }] as const));
}

function problem(type: string, name: string, msg: string, input: unknown, where = 'body'): Problem {
  return { type, loc: [where, name], msg, input };
}

function unprocessable(detail: readonly Problem[]): Refusal {
  return new Refusal(422, { detail });
}

function undecodable(): Refusal {
  return declared(400, 'invalid_request', 'Invalid JSON body');
}

function flagOf(text: string): unknown {
  const word = text.toLowerCase();
  if (['true', '1', 'yes', 'on'].includes(word)) return true;
  return ['false', '0', 'no', 'off'].includes(word) ? false : text;
}

function numberOf(text: string): unknown {
  return text.trim() === '' || Number.isNaN(Number(text)) ? text : Number(text);
}

function isInside(value: unknown, min: number, max: number): boolean {
  return typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
