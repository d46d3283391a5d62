// How much text may be kept in memory at once by those who collect the output of jobs, all of them together: each is bounded by
// itself, a thousand of them are not.

/** One collector's part of the budget. */
export interface TextShare {
  /** Takes what was collected into account. False: it is too much, and was not. */
  take(chars: number): boolean;
  /** Gives everything back. */
  release(): void;
}

/** A budget of UTF-16 units; gives out shares that are empty at first. */
export function createTextBudget(maxChars: number): () => TextShare {
  let held = 0;
  return () => {
    let mine = 0;
    return {
      take(chars) {
        if (held + chars > maxChars) return false;
        held += chars;
        mine += chars;
        return true;
      },
      release() {
        held -= mine;
        mine = 0;
      },
    };
  };
}
