// How the layers' prompts become one list (spec 02 §7). Pure; the runner decides when to ask.

import { CompositionError } from '../compositor/errors.ts';
import { isBlank } from '../wiretext/strip.ts';
import type { AgentLayer } from './types.ts';

/** The prompts of a whole composition. */
export interface ComposedPrompts {
  readonly system: readonly string[];
  readonly user: readonly string[];
}

/** Prefixes first to last, then suffixes last to first; user elements first to last (spec 02 §7.1). Blank ones are kept. */
export function composePrompts(layers: Iterable<AgentLayer>): ComposedPrompts {
  const prompts = [...layers].flatMap((layer) => layer.prompts ?? []);
  return {
    system: [...prompts.flatMap(({ prefix }) => prefix), ...prompts.toReversed().flatMap(({ suffix }) => suffix)],
    user: prompts.flatMap(({ user }) => user),
  };
}

/** @throws CompositionError unless one element is not blank by Python's `str.strip` (spec 02 §7.3). */
export function checkUserPrompts(user: readonly string[]): void {
  if (user.every(isBlank)) throw new CompositionError('run.user_prompts must not be empty');
}

/** The content of the user turn: one element alone is that string, otherwise the list as it is (spec 02 §7.2). */
export function userTurnContent(user: readonly string[]): string | readonly string[] {
  const [only] = user;
  return user.length === 1 && only !== undefined ? only : user;
}
