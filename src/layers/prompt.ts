// `plain.prompt`: texts of the system and of the user (spec 02 §7.1). No state, hooks or dependencies.

import { list, model, type Out, optional, str, union } from '../protocol/dialect.ts';
import { EMPTY_STATE, emptyRuntimeState } from './empty.ts';
import type { AgentLayerType } from './types.ts';

type Texts = string | readonly string[];

const texts = () => optional<Texts>(union({ 'list[str]': list(str()), str: str() }), () => []);

const promptConfig = model('PromptLayerConfig', { prefix: texts(), user: texts(), suffix: texts() });

/** The type `plain.prompt`. */
export const promptLayer: AgentLayerType<Out<typeof promptConfig>> = {
  typeId: 'plain.prompt',
  className: 'PromptLayer',
  config: promptConfig,
  state: emptyRuntimeState,
  deps: {},
  create: ({ config: { prefix, user, suffix } }) => ({
    className: 'PromptLayer',
    state: EMPTY_STATE,
    prompts: { prefix: elements(prefix), user: elements(user), suffix: elements(suffix) },
  }),
};

/** A string is one element, blank or not. */
function elements(value: Texts): readonly string[] {
  return typeof value === 'string' ? [value] : value;
}
