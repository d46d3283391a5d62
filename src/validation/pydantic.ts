// pydantic's multi-line text of a failed validation (spec 02 §12.2): what a run_failed says about a config or a chunk.

import { pythonTypeName, truncatedRepr } from '../wiretext/repr.ts';
import type { Issue, LocSegment } from './issue.ts';

/** How to print. */
export interface PydanticTextOptions {
  /** True: `input_value=<masked>`; for configurations and snapshots, which may hold secrets (spec README). */
  readonly maskInput: boolean;
}

/** The version of the reference's lock file; it stands in every URL. */
const ERRORS_URL = 'https://errors.pydantic.dev/2.12/v/';

/** Errors that pydantic raises from Python code have no page. */
const WITHOUT_URL: ReadonlySet<string> = new Set(['sequence_str']);

/** Printed issues stop here, so that one bad config cannot fill the store; the header still counts all. */
const MAX_PRINTED = 100;

/** `str(ValidationError)`: the header, then location, message and URL of each issue (at most 100). */
export function printPydantic(className: string, issues: readonly Issue[], options: PydanticTextOptions): string {
  const lines = [`${issues.length} validation error${issues.length === 1 ? '' : 's'} for ${className}`];
  for (const { type, loc, msg, input } of issues.slice(0, MAX_PRINTED)) {
    if (loc.length > 0) lines.push(loc.map(locText).join('.'));
    const value = options.maskInput ? '<masked>' : truncatedRepr(input);
    lines.push(`  ${msg} [type=${type}, input_value=${value}, input_type=${pythonTypeName(input)}]`);
    if (!WITHOUT_URL.has(type)) lines.push(`    For further information visit ${ERRORS_URL}${type}`);
  }
  return lines.join('\n');
}

/** A key with a dot stands in backticks. */
function locText(segment: LocSegment): string {
  return typeof segment === 'string' && segment.includes('.') ? `\`${segment}\`` : String(segment);
}

/** The issue of a text that is not JSON: `Invalid JSON: <jiter's message>` at the root. */
export function invalidJsonIssue(message: string, input: string): Issue {
  return { type: 'json_invalid', loc: [], msg: `Invalid JSON: ${message}`, input, ctx: { error: message } };
}
