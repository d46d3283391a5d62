// What each layer can be given, as its builder takes it. Field names and meanings are the server's (docs/layers).

import type { JsonObject, JsonValue } from './types.ts';

/** Options of every layer. */
export interface Named<Name extends string> {
  /** Unique in the composition. `llm`, `history` and `output` are looked up by name. */
  readonly name?: Name;
  readonly metadata?: JsonObject;
}

/** Options of a layer whose name is fixed. */
export interface Fixed {
  readonly metadata?: JsonObject;
}

/** Secrets of a plugin, each a scalar. */
export type Credentials = Readonly<Record<string, string | number | boolean | null>>;

/** One text, or several. */
export type Texts = string | readonly string[];

export interface PlainPromptOptions<Name extends string> extends Named<Name> {
  /** For the system: before the other layers' … */
  readonly prefix?: Texts;
  /** … and after them. */
  readonly suffix?: Texts;
  /** What the user says in this turn. */
  readonly user?: Texts;
}

type AgentMode = 'workflow_run' | 'single_step' | 'agent_app' | 'babysit' | 'fasten';

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
  readonly agent_mode?: AgentMode | null;
  readonly invoke_from?:
    | 'service-api'
    | 'openapi'
    | 'web-app'
    | 'trigger'
    | 'explore'
    | 'debugger'
    | 'published'
    | 'validation'
    | AgentMode
    | null;
  readonly trace_id?: string | null;
}

/** How the model answers. Nulls are refused: leave out what is not set. */
export interface ModelSettings {
  readonly max_tokens?: number;
  readonly temperature?: number;
  readonly top_p?: number;
  readonly top_k?: number;
  /** Seconds. */
  readonly timeout?: number;
  readonly parallel_tool_calls?: boolean;
  readonly tool_choice?: JsonValue;
  readonly seed?: number;
  readonly presence_penalty?: number;
  readonly frequency_penalty?: number;
  readonly logit_bias?: Readonly<Record<string, number>>;
  readonly stop_sequences?: readonly string[];
  readonly extra_headers?: Readonly<Record<string, string>>;
  readonly thinking?: boolean | 'minimal' | 'low' | 'medium' | 'high' | 'xhigh';
  readonly service_tier?: 'auto' | 'default' | 'flex' | 'priority';
  readonly extra_body?: JsonValue;
}

export interface PluginModel {
  /** `vendor/plugin` */
  readonly plugin_id: string;
  readonly model_provider: string;
  readonly model: string;
  readonly credentials?: Credentials;
  readonly model_settings?: ModelSettings | null;
}

export interface PluginToolParameter {
  readonly name: string;
  readonly type:
    | 'string'
    | 'number'
    | 'boolean'
    | 'select'
    | 'secret-input'
    | 'file'
    | 'files'
    | 'app-selector'
    | 'model-selector'
    | 'any'
    | 'dynamic-select'
    | 'checkbox'
    | 'system-files'
    | 'array'
    | 'object'
    | 'date'
    | 'date-range';
  /** `llm`: the model gives it; the others are hidden from the model. */
  readonly form: 'schema' | 'form' | 'llm';
  readonly required?: boolean;
  readonly default?: JsonValue;
  readonly llm_description?: string | null;
  readonly input_schema?: JsonObject | null;
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
  /** Values that the model neither sees nor gives. */
  readonly runtime_parameters?: JsonObject;
  readonly parameters?: readonly PluginToolParameter[];
  readonly parameters_json_schema?: JsonObject;
}

export interface OutputOptions extends Fixed {
  /** An object schema. */
  readonly json_schema: JsonObject & { readonly type: 'object' };
  readonly description?: string | null;
  readonly strict?: boolean | null;
}

export interface AskHumanOptions<Name extends string> extends Named<Name> {
  readonly enabled?: boolean;
  /** Default `ask_human`. */
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

export interface ShellVariable {
  readonly name: string;
  readonly value?: string;
}

/** The name of a variable that the sandbox's host has: its value does not travel. */
export interface ShellSecretRef {
  readonly name: string;
  readonly ref?: string | null;
}

export interface ShellTool {
  readonly name?: string | null;
  /** Run once, in order, when the workspace is made. */
  readonly install_commands?: readonly string[];
  readonly env?: readonly ShellVariable[];
  readonly secret_refs?: readonly ShellSecretRef[];
}

export interface ShellOptions<Name extends string> extends Named<Name> {
  readonly env?: readonly ShellVariable[];
  readonly secret_refs?: readonly ShellSecretRef[];
  readonly cli_tools?: readonly ShellTool[];
  /** Regular expressions; what they match is masked in output. */
  readonly redact_patterns?: readonly string[];
  readonly agent_stub_drive_ref?: string | null;
  readonly sandbox?: { readonly provider?: string | null; readonly config?: JsonObject } | null;
}

/** A step of a scripted answer: waits, then says or calls one thing. */
export interface ScriptedItem {
  readonly delay_ms?: number;
  readonly text?: string;
  readonly thinking?: string;
  readonly tool_call?: { readonly id: string; readonly name: string; readonly arguments?: string | JsonObject };
  /** Says it so many times, each a chunk of its own. */
  readonly repeat?: number;
}

/** The answer to one model call. */
export interface ScriptedTurn {
  readonly items?: readonly ScriptedItem[];
  readonly finish_reason?: 'stop' | 'length' | 'content_filter' | 'tool_call' | 'error' | null;
  readonly usage?: { readonly prompt_tokens: number; readonly completion_tokens: number } | null;
  /** After the items the call fails with this text. */
  readonly error?: string | null;
}

export interface ScriptedTool {
  readonly name: string;
  readonly description?: string;
  readonly parameters?: JsonObject;
  readonly sequential?: boolean;
  /** Call k gets result k; the last one repeats. None: the tool returns its arguments. */
  readonly results?: readonly {
    readonly delay_ms?: number | null;
    readonly content?: JsonValue;
    readonly retry?: string | null;
    readonly error?: string | null;
  }[];
}

export interface ScriptedLlmOptions extends Fixed {
  readonly turns: readonly ScriptedTurn[];
  readonly model?: string;
  readonly tools?: readonly ScriptedTool[];
}
