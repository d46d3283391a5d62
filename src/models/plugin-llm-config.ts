// The configuration of `dify.plugin.llm` (spec 03 §1.1, §1.3): one schema for the layer, one type for the model.

import {
  absent,
  any,
  bool,
  dict,
  float,
  instanceOf,
  int,
  list,
  literal,
  model,
  nullable,
  type Out,
  optional,
  required,
  str,
  union,
} from '../protocol/dialect.ts';

const THINKING = ['minimal', 'low', 'medium', 'high', 'xhigh'] as const;

/** A closed map: unknown keys and explicit nulls are refused; what is absent stays absent. */
const modelSettings = model(
  'ModelSettings',
  {
    max_tokens: absent(int()),
    temperature: absent(float()),
    top_p: absent(float()),
    /** `top_k`, `tool_choice` and `service_tier` are refused at the target; accepted here (README corrections). */
    top_k: absent(int()),
    timeout: absent(union({ float: float(), 'is-instance[Timeout]': instanceOf('Timeout') })),
    parallel_tool_calls: absent(bool()),
    tool_choice: absent(any()),
    seed: absent(int()),
    presence_penalty: absent(float()),
    frequency_penalty: absent(float()),
    logit_bias: absent(dict(int())),
    stop_sequences: absent(list(str())),
    extra_headers: absent(dict(str())),
    thinking: absent(
      union({ bool: bool(), [`literal[${THINKING.map((level) => `'${level}'`).join(',')}]`]: literal(...THINKING) }),
    ),
    service_tier: absent(literal('auto', 'default', 'flex', 'priority')),
    extra_body: absent(any()),
  },
  { flavour: 'typed_dict' },
);
/** Validated `model_settings`. Numbers may be raw (`1.0`): print them as they are. */
export type ModelSettings = Out<typeof modelSettings>;

/** Validates the config of `dify.plugin.llm`. */
export const pluginLlmConfig = model('DifyPluginLLMLayerConfig', {
  plugin_id: required(str()),
  model_provider: required(str()),
  model: required(str()),
  credentials: optional(dict(nullable(union({ str: str(), int: int(), float: float(), bool: bool() }))), () => ({})),
  model_settings: optional(nullable(modelSettings), null),
  /** Of a later vintage (compaction); accepted, not acted on. */
  context_window_tokens: optional(nullable(int({ gt: 0 })), null),
});
/** The validated config of `dify.plugin.llm`: which plugin, provider and model, with what credentials and settings. */
export type PluginLlmConfig = Out<typeof pluginLlmConfig>;
