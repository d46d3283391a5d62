// Typed functions for every layer, so that an editor completes them. They produce plain objects: what is sent is what is
// seen. composition.ts puts them together.

import type { Layer } from './composition.ts';
import type {
  AskHumanOptions,
  ExecutionContextOptions,
  Fixed,
  Named,
  OutputOptions,
  PlainPromptOptions,
  PluginModel,
  PluginTool,
  ScriptedLlmOptions,
  ShellOptions,
} from './layer-options.ts';
import type { JsonValue } from './types.ts';

/** The layer that others take as their `context`. */
export type ContextLayer<Name extends string = string> = Layer<'dify.execution_context', Name>;

/** `plain.prompt`: texts of the system and of the user. */
export function plainPrompt<const Name extends string = 'prompt'>(
  options: PlainPromptOptions<Name>,
): Layer<'plain.prompt', Name, never> {
  const { prefix = [], user = [], suffix = [] } = options;
  return layer('plain.prompt', 'prompt', options, { prefix, user, suffix }, {});
}

/** `dify.execution_context`: on whose behalf the run acts. Hand it to the layers that need it. */
export function executionContext<const Name extends string = 'execution_context'>(
  options: ExecutionContextOptions<Name>,
): Layer<'dify.execution_context', Name, never> {
  const { name: _name, metadata: _metadata, ...config } = options;
  return layer('dify.execution_context', 'execution_context', options, config, {});
}

/** `pydantic_ai.history`: the conversation, kept in the snapshot. Its name is fixed. */
export function history(options: Fixed = {}): Layer<'pydantic_ai.history', 'history', never> {
  return layer('pydantic_ai.history', 'history', options, null, {});
}

/** `dify.plugin.llm`: a model of the plugin daemon. Its name is fixed. */
export function pluginLlm<const Context extends string>(
  options: PluginModel & Fixed & { readonly context: ContextLayer<Context> },
): Layer<'dify.plugin.llm', 'llm', Context> {
  const { context, metadata: _, ...config } = options;
  return layer('dify.plugin.llm', 'llm', fixed(options), { credentials: {}, ...config }, needing(context));
}

/** `dify.plugin.tools`: tools of the plugin daemon. */
export function pluginTools<const Context extends string, const Name extends string = 'tools'>(
  options: Named<Name> & { readonly context: ContextLayer<Context>; readonly tools: readonly PluginTool[] },
): Layer<'dify.plugin.tools', Name, Context> {
  const { context, tools } = options;
  return layer('dify.plugin.tools', 'tools', options, { tools }, needing(context));
}

/** `dify.output`: the answer is an object of this schema. Its name is fixed. */
export function output(options: OutputOptions): Layer<'dify.output', 'output', never> {
  const { json_schema, description = null, strict = null } = options;
  return layer('dify.output', 'output', fixed(options), { json_schema, description, strict }, {});
}

/** `dify.ask_human`: the model may end the run with a question. Put it after `history`. */
export function askHuman<const Name extends string = 'ask_human'>(
  options: AskHumanOptions<Name> = {},
): Layer<'dify.ask_human', Name, never> {
  const { name: _name, metadata: _metadata, ...config } = options;
  return layer('dify.ask_human', 'ask_human', options, config, {});
}

/** `dify.shell`: a workspace and four tools to work in it. `context`: needed for what reaches Dify from the sandbox. */
export function shell<const Context extends string = never, const Name extends string = 'shell'>(
  options: ShellOptions<Name> & { readonly context?: ContextLayer<Context> } = {},
): Layer<'dify.shell', Name, Context> {
  const { name: _name, metadata: _metadata, context, ...config } = options;
  return layer('dify.shell', 'shell', options, config, context === undefined ? {} : needing(context));
}

/** `test.scripted_llm`: a model that answers what it is told to, where the server allows it. Its name is fixed. */
export function scriptedLlm(options: ScriptedLlmOptions): Layer<'test.scripted_llm', 'llm', never> {
  const { metadata: _, ...config } = options;
  return layer('test.scripted_llm', 'llm', fixed(options), config, {});
}

function needing<Name extends string>(context: ContextLayer<Name>): Readonly<Record<string, Name>> {
  return { execution_context: context.name };
}

/** The common options of a layer that cannot be given a name, whatever a caller without a compiler gave. */
function fixed({ metadata }: Fixed): Fixed {
  return metadata === undefined ? {} : { metadata };
}

function layer<Type extends string, Name extends string, Needs extends string>(
  type: Type,
  fallback: string,
  { name, metadata = {} }: Named<Name>,
  config: object | null,
  deps: Readonly<Record<string, Needs>>,
): Layer<Type, Name, Needs> {
  return {
    // Without a name the type parameter has its default, which is the fallback.
    name: (name ?? fallback) as Name,
    type,
    deps,
    metadata,
    // The options hold JSON.
    config: config as JsonValue,
  };
}
