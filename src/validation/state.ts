// What travels through one validation: where we are, what was wrong so far, how exact the match is. Compiled rules
// (walker.ts and its helpers) are functions of an input and this state.

import type { JsonObject } from '../base/json.ts';
import type { Issue, LocSegment } from './issue.ts';

/**
 * How pydantic was called; it decides wordings. `attributes`: FastAPI bodies. `python`: `model_validate`.
 * `json`: `model_validate_json`, also for JSON that was already parsed.
 */
export type Mode = 'attributes' | 'python' | 'json';

/** How a value matched, for unions: as it is, by a conversion that strict mode allows, or by a lax one. */
export const EXACT = 2;
export const STRICT = 1;
export const LAX = 0;
export type Exactness = typeof EXACT | typeof STRICT | typeof LAX;

/** Returned in place of a value when at least one issue was reported. */
export const INVALID: unique symbol = Symbol('invalid');

/**
 * Collecting stops here: one fault per element of a hostile body would otherwise cost hundreds of times its size.
 * The reference has no limit; no honest request comes near.
 */
export const MAX_ISSUES = 10_000;

export interface State {
  readonly mode: Mode;
  /** The path to the current input; pushed and popped as we go. */
  readonly loc: LocSegment[];
  issues: Issue[];
  exactness: Exactness;
  /** Fields given in the models met so far; a union prefers the member that used more. */
  fieldsSet: number;
}

/** A compiled rule: the value, or INVALID after reporting. Never changes its input. */
export type Node = (input: unknown, state: State) => unknown;

export function newState(mode: Mode): State {
  return { mode, loc: [], issues: [], exactness: EXACT, fieldsSet: 0 };
}

/** Reports an issue at the current place. */
export function report(state: State, type: string, msg: string, input: unknown, ctx?: JsonObject): typeof INVALID {
  if (state.issues.length < MAX_ISSUES) {
    const issue = { type, loc: state.loc.slice(), msg, input };
    state.issues.push(ctx === undefined ? issue : { ...issue, ctx });
  }
  return INVALID;
}

/** Lowers the exactness of the match. */
export function floor(state: State, exactness: Exactness): void {
  if (exactness < state.exactness) state.exactness = exactness;
}

/** True when nothing more would be kept. */
export function isFull(state: State): boolean {
  return state.issues.length >= MAX_ISSUES;
}
