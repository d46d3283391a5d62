// What a validation yields: a value, or what is wrong with the input. Printers (fastapi.ts, pydantic.ts) make text of it.

import type { JsonObject } from '../base/json.ts';

/** A key or an index on the way from the root of the input to the fault. */
export type LocSegment = string | number;

/** One fault, as pydantic's `errors()` describes it. */
export interface Issue {
  /** pydantic's error type, e.g. `string_type`, `missing`, `extra_forbidden`. */
  readonly type: string;
  readonly loc: readonly LocSegment[];
  readonly msg: string;
  /** The offending value; for `missing` the enclosing object. */
  readonly input: unknown;
  /** The numbers and names in `msg`; absent when there are none. */
  readonly ctx?: JsonObject;
}

export type Result<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly issues: readonly Issue[] };
