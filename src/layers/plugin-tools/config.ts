// The configuration of `dify.plugin.tools` (spec 03 §1.4). Closed at the upper levels; a parameter is whatever the Dify API
// dumps, of which we read what we need.

import {
  any,
  bool,
  dict,
  enumeration,
  float,
  int,
  json,
  list,
  model,
  nullable,
  type Out,
  optional,
  required,
  str,
  union,
} from '../../protocol/dialect.ts';

const ignore = { extra: 'ignore' } as const;

const parameter = model(
  'DifyPluginToolParameter',
  {
    name: required(str()),
    type: required(
      enumeration(
        'string',
        'number',
        'boolean',
        'select',
        'secret-input',
        'file',
        'files',
        'app-selector',
        'model-selector',
        'any',
        'dynamic-select',
        'checkbox',
        'system-files',
        'array',
        'object',
        // Newer daemons declare these two; the target refuses them.
        'date',
        'date-range',
      ),
    ),
    /** `llm`: the model gives it. The others are hidden from the model. */
    form: required(enumeration('schema', 'form', 'llm')),
    required: optional(bool(), false),
    default: optional(json(), null),
    llm_description: optional(nullable(str()), null),
    input_schema: optional(nullable(dict(any())), null),
    options: optional(list(model('DifyPluginToolOption', { value: required(any()) }, ignore)), () => []),
  },
  ignore,
);
/** A declared parameter of a tool. */
export type ToolParameter = Out<typeof parameter>;

const tool = model('DifyPluginToolConfig', {
  plugin_id: required(str()),
  provider: required(str()),
  tool_name: required(str()),
  credential_type: required(enumeration('api-key', 'oauth2', 'unauthorized')),
  /** What the model sees; empty: `tool_name`, and for the description the name. */
  name: optional(nullable(str()), null),
  description: optional(nullable(str()), null),
  credentials: optional(dict(nullable(union({ str: str(), int: int(), float: float(), bool: bool() }))), () => ({})),
  /** Values that the model neither sees nor gives. */
  runtime_parameters: optional(dict(json()), () => ({})),
  parameters: optional(list(parameter), () => []),
  /** Shown to the model as it is; not used to check what the model sends (spec 03 §1.5). */
  parameters_json_schema: optional(dict(json()), () => ({ type: 'object', properties: {}, required: [] })),
});
/** A tool of a plugin. */
export type ToolConfig = Out<typeof tool>;

/** Validates the config of `dify.plugin.tools`. */
export const pluginToolsConfig = model('DifyPluginToolsLayerConfig', { tools: optional(list(tool), () => []) });
/** The validated config of `dify.plugin.tools`. */
export type PluginToolsConfig = Out<typeof pluginToolsConfig>;
