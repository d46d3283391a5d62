// `pattern` and `patternProperties` in linear time (design §5: a pattern of 29 characters blocked the loop for half a
// second in the engine's own matcher). A schema whose patterns cannot be matched so is refused; a validation that would
// take too many steps all the same ends with an error.

import { RE2JS } from 're2js';
import { pyRepr } from '../wiretext/repr.ts';
import { SchemaError } from './errors.ts';
import { splitLookahead } from './lookahead.ts';
import type { WorkBudget } from './work.ts';

/** What the validator matches with; the shape is ajv's. */
export interface Pattern {
  test(text: string): boolean;
  toString(): string;
}

/** The patterns of one schema. */
export class Patterns {
  readonly #compiled = new Map<string, Pattern>();
  readonly #budget: WorkBudget;

  /** Matching spends program size × text length of the budget. */
  constructor(budget: WorkBudget) {
    this.#budget = budget;
  }

  /** @throws SchemaError for what is no pattern, or none that can be matched in linear time */
  get(source: string): Pattern {
    const known = this.#compiled.get(source);
    if (known !== undefined) return known;
    const parts = compile(source);
    const size = parts.reduce((sum, { program }) => sum + program.programSize(), 0);
    const pattern = {
      test: (text: string) => {
        this.#budget.spend(size * (text.length + 1));
        return parts.every(({ program, matches }) => program.test(text) === matches);
      },
      toString: () => source,
    };
    this.#compiled.set(source, pattern);
    return pattern;
  }
}

interface Part {
  readonly program: RE2JS;
  readonly matches: boolean;
}

function compile(source: string): readonly Part[] {
  try {
    const parts = splitLookahead(source) ?? [{ source, matches: true }];
    return parts.map((part) => ({ program: program(part.source), matches: part.matches }));
  } catch {
    throw new SchemaError(
      isRegExp(source)
        ? `Pattern ${pyRepr(source)} cannot be matched in linear time: look-ahead (but right behind a leading ^), back-references and repeats beyond 1000 are not supported.`
        : `${pyRepr(source)} is not a 'regex'`, // the reference's words
    );
  }
}

function program(source: string): RE2JS {
  return RE2JS.compile(RE2JS.translateRegExp(source), RE2JS.LOOKBEHINDS);
}

function isRegExp(source: string): boolean {
  try {
    new RegExp(source);
    return true;
  } catch {
    return false;
  }
}
