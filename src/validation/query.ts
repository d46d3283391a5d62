// Query parameters as FastAPI reads them. Only ints with bounds are needed (`limit`, spec 01 §2).

import { int } from '../protocol/dialect.ts';
import { toNumber } from '../wiretext/numbers.ts';
import type { Result } from './issue.ts';
import { validate } from './walker.ts';

/** An int parameter. Bounds are inclusive and must be safe integers. */
export interface IntParameter {
  readonly name: string;
  readonly defaultValue: number;
  readonly ge: number;
  readonly le: number;
}

/**
 * Reads an int parameter: lax-int string rules (`5.0` and ` 5 ` are fine), the last of repeated ones wins, absent means
 * the default. Issues have the location [name]; print them with the prefix `['query']`.
 */
export function parseQueryInt(query: URLSearchParams, parameter: IntParameter): Result<number> {
  const { name, defaultValue, ge, le } = parameter;
  const text = query.getAll(name).at(-1);
  if (text === undefined) return { ok: true, value: defaultValue };
  const result = validate(int({ ge, le }), text);
  if (result.ok) return { ok: true, value: toNumber(result.value) };
  return { ok: false, issues: result.issues.map((issue) => ({ ...issue, loc: [name] })) };
}
