// Typed functions for every layer and for the composition, so that an editor completes them and a composition that is
// built wrongly does not type-check. They produce plain objects: what is sent is what is seen.

import type { Composition, JsonObject, JsonValue, LayerSpec } from './types.ts';

/** A layer whose type and name the compiler knows. */
export interface Layer<Type extends string = string, Name extends string = string> extends LayerSpec {
  readonly name: Name;
  readonly type: Type;
}

interface Named<Name extends string> {
  /** Unique in the composition. `llm`, `history` and `output` are looked up by name. */
  readonly name?: Name;
  readonly metadata?: JsonObject;
}

/** A scalar of credentials. */
type Credential = string | number | boolean | null;
export type Credentials = Readonly<Record<string, Credential>>;

type Texts = string | readonly string[];

export interface PlainPrompt<Name extends string> extends Named<Name> {
  /** For the system: before the other layers' … */
  readonly prefix?: Texts;
  /** … and after them. */
  readonly suffix?: Texts;
  /** What the user says in this turn. */
  readonly user?: Texts;
}

/** `plain.prompt`: texts of the system and of the user. */
export function plainPrompt<const Name extends string = 'prompt'>(
  options: PlainPrompt<Name>,
): Layer<'plain.prompt', Name> {
  const { prefix = [], user = [], suffix = [] } = options;
  return layer('plain.prompt', 'prompt', options, { prefix, user, suffix });
}

export interface ExecutionContextOptions<Name extends string> extends Named<Name> {
  readonly tenant_id: string;
  readonly user_id?: string | null;
  readonly user_from?: 'account' | 'end-user' | null;
  readonly app_id?: string | null;
  readonly workflow_id?: string | null;
  readonly workflow_run_id?: string | null;
  readonly node_id?: string | null;
  readonly node_execution_id?: string | null;
  readonly conversation_id?: string | null;
  readonly agent_id?: string | null;
  readonly agent_config_version_id?: string | null;
  readonly agent_config_version_kind?: 'snapshot' | 'draft' | 'build_draft' | null;
  readonly agent_mode?: 'workflow_run' | 'single_step' | 'agent_app' | 'babysit' | 'fasten' | null;
  readonly invoke_from?:
    | 'service-api'
    | 'openapi'
    | 'web-app'
    | 'trigger'
    | 'explore'
    | 'debugger'
    | 'published'
    | 'validation'
    | null;
  readonly trace_id?: string | null;
}

type ContextLayer = Layer<'dify.execution_context'>;

/** `dify.execution_context`: on whose behalf the run acts. Its layer is handed to those that need it. */
export function executionContext<const Name extends string = 'execution_context'>(
  options: ExecutionContextOptions<Name>,
): Layer<'dify.execution_context', Name> {
  const { name: _name, metadata: _metadata, ...config } = options;
  return layer('dify.execution_context', 'execution_context', options, config);
}

/** `pydantic_ai.history`: the conversation, kept in the snapshot. Its name is fixed. */
export function history(options: Omit<Named<'history'>, 'name'> = {}): Layer<'pydantic_ai.history', 'history'> {
  return layer('pydantic_ai.history', 'history', options, null);
}

export interface ModelSettings {
  readonly max_tokens?: number;
  readonly temperature?: number;
  readonly top_p?: number;
  readonly top_k?: number;
  readonly timeout?: number;
  readonly parallel_tool_calls?: boolean;
  readonly seed?: number;
  readonly presence_penalty?: number;
  readonly frequency_penalty?: number;
  readonly logit_bias?: Readonly<Record<string, number>>;
  readonly stop_sequences?: readonly string[];
  readonly extra_headers?: Readonly<Record<string, string>>;
  readonly extra_body?: JsonValue;
}

export interface PluginLlm extends Omit<Named<'llm'>, 'name'> {
  readonly context: ContextLayer;
  /** `vendor/plugin` */
  readonly plugin_id: string;
  readonly model_provider: string;
  readonly model: string;
  readonly credentials?: Credentials;
  readonly model_settings?: ModelSettings | null;
}

/** `dify.plugin.llm`: a model of the plugin daemon. Its name is fixed. */
export function pluginLlm({ context, metadata, ...config }: PluginLlm): Layer<'dify.plugin.llm', 'llm'> {
  const deps = { execution_context: context.name };
  return layer(
    'dify.plugin.llm',
    'llm',
    metadata === undefined ? {} : { metadata },
    { credentials: {}, ...config },
    deps,
  );
}

export interface PluginToolParameter {
  readonly name: string;
  readonly type: string;
  /** `llm`: the model gives it; the others are hidden from the model. */
  readonly form: 'schema' | 'form' | 'llm';
  readonly required?: boolean;
  readonly default?: JsonValue;
  readonly llm_description?: string | null;
  readonly options?: readonly { readonly value: JsonValue }[];
}

export interface PluginTool {
  readonly plugin_id: string;
  readonly provider: string;
  readonly tool_name: string;
  readonly credential_type: 'api-key' | 'oauth2' | 'unauthorized';
  /** What the model sees; default: `tool_name`. */
  readonly name?: string | null;
  readonly description?: string | null;
  readonly credentials?: Credentials;
  readonly runtime_parameters?: JsonObject;
  readonly parameters?: readonly PluginToolParameter[];
  readonly parameters_json_schema?: JsonObject;
}

export interface PluginTools<Name extends string> extends Named<Name> {
  readonly context: ContextLayer;
  readonly tools: readonly PluginTool[];
}

/** `dify.plugin.tools`: tools of the plugin daemon. */
export function pluginTools<const Name extends string = 'tools'>(
  options: PluginTools<Name>,
): Layer<'dify.plugin.tools', Name> {
  const { context, tools } = options;
  return layer('dify.plugin.tools', 'tools', options, { tools }, { execution_context: context.name });
}

export interface Output extends Omit<Named<'output'>, 'name'> {
  /** An object schema. */
  readonly json_schema: JsonObject & { readonly type: 'object' };
  readonly description?: string | null;
  readonly strict?: boolean | null;
}

/** `dify.output`: the answer is an object of this schema. Its name is fixed. */
export function output({
  metadata,
  json_schema,
  description = null,
  strict = null,
}: Output): Layer<'dify.output', 'output'> {
  return layer('dify.output', 'output', metadata === undefined ? {} : { metadata }, {
    json_schema,
    description,
    strict,
  });
}

export interface AskHuman<Name extends string> extends Named<Name> {
  readonly enabled?: boolean;
  readonly tool_name?: string;
  readonly tool_description?: string | null;
  readonly max_fields?: number;
  readonly max_actions?: number;
  readonly allowed_field_types?: readonly ('paragraph' | 'select' | 'file' | 'file-list')[];
  readonly allow_file_fields?: boolean;
  readonly max_markdown_chars?: number;
  readonly max_question_chars?: number;
  readonly max_field_label_chars?: number;
  readonly max_action_label_chars?: number;
}

/** `dify.ask_human`: the model may end the run with a question. Put it after `history`. */
export function askHuman<const Name extends string = 'ask_human'>(
  options: AskHuman<Name> = {},
): Layer<'dify.ask_human', Name> {
  const { name: _name, metadata: _metadata, ...config } = options;
  return layer('dify.ask_human', 'ask_human', options, config);
}

export interface ShellVariable {
  readonly name: string;
  readonly value?: string;
}

export interface Shell<Name extends string> extends Named<Name> {
  /** Needed for what reaches Dify from the sandbox. */
  readonly context?: ContextLayer;
  readonly env?: readonly ShellVariable[];
  /** Names of variables that the sandbox host has. */
  readonly secret_refs?: readonly { readonly name: string; readonly ref?: string | null }[];
  readonly cli_tools?: readonly {
    readonly name?: string | null;
    readonly install_commands?: readonly string[];
    readonly env?: readonly ShellVariable[];
    readonly secret_refs?: readonly { readonly name: string; readonly ref?: string | null }[];
  }[];
  readonly agent_stub_drive_ref?: string | null;
}

/** `dify.shell`: a workspace and four tools to work in it. */
export function shell<const Name extends string = 'shell'>(options: Shell<Name> = {}): Layer<'dify.shell', Name> {
  const { name: _name, metadata: _metadata, context, ...config } = options;
  return layer(
    'dify.shell',
    'shell',
    options,
    config,
    context === undefined ? {} : { execution_context: context.name },
  );
}

/** A part of a scripted answer: what `test.scripted_llm` says or does next. */
export interface ScriptedItem {
  readonly delay_ms?: number;
  readonly text?: string;
  readonly thinking?: string;
  readonly tool_call?: { readonly id: string; readonly name: string; readonly arguments?: string | JsonObject };
  readonly repeat?: number;
}

/** `test.scripted_llm`: a model that answers what it is told to, where the server allows it. Its name is fixed. */
export function scriptedLlm(
  options: {
    readonly turns: readonly { readonly items: readonly ScriptedItem[] }[];
    readonly metadata?: JsonObject;
  } & JsonObject,
): Layer<'test.scripted_llm', 'llm'> {
  const { metadata, ...config } = options;
  return layer('test.scripted_llm', 'llm', metadata === undefined ? {} : { metadata }, config);
}

/** Lets a list with a model pass; of another one the compiler says what is missing. */
type NeedsModel<Layers extends readonly Layer[]> = 'llm' extends Layers[number]['name']
  ? unknown
  : 'a composition needs a layer named "llm"; for a clean-up run use cleanupComposition()';

/** A composition with a model. */
export function composition<const Layers extends readonly Layer[]>(layers: Layers & NeedsModel<Layers>): Composition {
  return checked(layers);
}

/** A composition without a model: with a snapshot and `on_exit` delete it cleans up what a session left behind. */
export function cleanupComposition(layers: readonly LayerSpec[]): Composition {
  return checked(layers);
}

function checked(layers: readonly LayerSpec[]): Composition {
  const names = new Set<string>();
  for (const { name, deps = {} } of layers) {
    if (names.has(name)) throw new TypeError(`two layers are named ${JSON.stringify(name)}`);
    names.add(name);
    for (const target of Object.values(deps)) {
      if (!layers.some((other) => other.name === target)) {
        throw new TypeError(
          `layer ${JSON.stringify(name)} needs ${JSON.stringify(target)}, which is not in the composition`,
        );
      }
    }
  }
  return { schema_version: 1, layers };
}

function layer<Type extends string, Name extends string>(
  type: Type,
  fallback: string,
  { name, metadata }: Named<Name>,
  config: object | null,
  deps: Readonly<Record<string, string>> = {},
): Layer<Type, Name> {
  return {
    // Without a name the type parameter has its default, which is the fallback.
    name: (name ?? fallback) as Name,
    type,
    deps,
    metadata: metadata ?? {},
    // The options above hold JSON.
    config: config as JsonValue,
  };
}
