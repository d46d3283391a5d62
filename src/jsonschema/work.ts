// What one validation may cost. The product of a schema and an answer is what takes time: two thousand conditions for
// each of a hundred thousand items would block the loop for half a minute, though each of both is within its bounds.

/**
 * Steps that one validation may take. A step is a character of a pattern's program at a character of the text (0.1 ns as
 * a rule, 65 ns at worst), or a character of a value that is compared as a whole; an evaluation counts for EVALUATION.
 */
export const MAX_CHECK_STEPS = 50_000_000;

/** Steps of looking at one value, member or name by one schema; 2 µs when that yields an error. */
export const EVALUATION = 50;

/** A validation would take more than MAX_CHECK_STEPS. */
export class WorkBudgetError extends Error {}

/** Counts the steps of one validation at a time. */
export class WorkBudget {
  #left = MAX_CHECK_STEPS;

  /** Begins a validation. */
  reset(): void {
    this.#left = MAX_CHECK_STEPS;
  }

  /** @throws WorkBudgetError when the steps are used up */
  spend(steps: number): void {
    this.#left -= steps;
    if (this.#left < 0) throw new WorkBudgetError();
  }
}
