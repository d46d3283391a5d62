// Counts the tokens of a run, response by response: also of those that broke off, because they were paid for (spec 06 §13).

import type { RunUsage } from '../protocol/events.ts';
import type { RequestUsage } from '../protocol/messages.ts';

/** The tokens of one run so far. */
export interface UsageMeter {
  add(response: RequestUsage): void;
  readonly total: RunUsage;
}

export function createUsageMeter(): UsageMeter {
  let promptTokens = 0;
  let completionTokens = 0;
  return {
    add({ input_tokens, output_tokens }) {
      promptTokens += Number(input_tokens);
      completionTokens += Number(output_tokens);
    },
    get total() {
      return { promptTokens, completionTokens };
    },
  };
}
