// FastAPI's body of a 422: `{"detail":[{"type","loc","msg","input"[,"ctx"]}]}` (spec 01 §1.3). It is written by
// json.dumps and not by pydantic, which shows in small floats: `1e-05`.

import { stringifyJson } from '../wiretext/json.ts';
import type { Issue, LocSegment } from './issue.ts';

/**
 * Issues are printed until the body has this many characters (the first is always whole): every `missing` echoes its
 * enclosing object, so a hostile body could otherwise grow a hundredfold. The reference has no limit.
 */
const MAX_DETAIL_CHARS = 1_000_000;

/** The JSON text of the answer; `prefix` opens every location, e.g. `['body']`. */
export function printDetail(issues: readonly Issue[], prefix: readonly LocSegment[]): string {
  const printed: string[] = [];
  let length = 0;
  for (const { type, loc, msg, input, ctx } of issues) {
    const entry = { type, loc: [...prefix, ...loc], msg, input: input ?? null };
    const text = stringifyJson(ctx === undefined ? entry : { ...entry, ctx }, { floats: 'repr' });
    length += text.length;
    if (printed.length > 0 && length > MAX_DETAIL_CHARS) break;
    printed.push(text);
  }
  return `{"detail":[${printed.join(',')}]}`;
}

/** The issue of a body that is not JSON; `offset` counts code points. Print it with the prefix `['body']`. */
export function jsonInvalidIssue(message: string, offset: number): Issue {
  return { type: 'json_invalid', loc: [offset], msg: 'JSON decode error', input: {}, ctx: { error: message } };
}

/** The issue of an absent, empty or `null` body. Print it with the prefix `['body']`. */
export function missingBodyIssue(): Issue {
  return { type: 'missing', loc: [], msg: 'Field required', input: null };
}
