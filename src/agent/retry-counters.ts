// Retries of tools (spec 06 §8.1): a tool may fail once in a row; a step in which it does not fail starts it from zero.

/** Retries of each tool, counted over consecutive steps. */
export interface RetryCounters {
  /** Notes a failure in this step (several count once); false when the tool has no retry left. */
  fail(tool: string): boolean;
  /** Ends the step: tools that did not fail in it start from zero again. */
  nextStep(): void;
}

/** Spec 06 §1: the library's default. */
const MAX_RETRIES = 1;

export function createRetryCounters(): RetryCounters {
  let counts = new Map<string, number>();
  let failed = new Set<string>();
  return {
    fail(tool) {
      if ((counts.get(tool) ?? 0) >= MAX_RETRIES) return false;
      failed.add(tool);
      return true;
    },
    nextStep() {
      counts = new Map([...failed].map((tool) => [tool, (counts.get(tool) ?? 0) + 1]));
      failed = new Set();
    },
  };
}
