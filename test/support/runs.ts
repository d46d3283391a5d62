// What tests post and read: compositions for the scripted model and for the plugin daemon, and the four run endpoints.

import { readSse, type SseFrame } from './sse.ts';
import { TERMINAL_TYPES } from './strict-client.ts';

/** One step of the scripted model: waits, then says (src/models/scripted-config.ts). */
export interface ScriptItem {
  readonly text?: string;
  readonly thinking?: string;
  readonly delay_ms?: number;
  readonly repeat?: number;
}

/** Longer than any test waits: a run that only a stop ends. */
export const FOREVER: ScriptItem = { delay_ms: 600_000 };

/** A `POST /runs` body. */
export type RunBody = Readonly<Record<string, unknown>>;

/** A composition: a prompt and the scripted model; with `history` a conversation. */
export function scripted(
  turns: readonly (readonly ScriptItem[])[],
  options: { readonly prompt?: string; readonly history?: boolean; readonly snapshot?: unknown } = {},
): RunBody {
  return {
    composition: {
      layers: [
        {
          name: 'prompt',
          type: 'plain.prompt',
          config: { prefix: 'You are terse.', user: options.prompt ?? 'Hello?' },
        },
        { name: 'llm', type: 'test.scripted_llm', config: { turns: turns.map((items) => ({ items })) } },
        ...(options.history === true ? [{ name: 'history', type: 'pydantic_ai.history' }] : []),
      ],
    },
    ...(options.snapshot === undefined ? {} : { session_snapshot: options.snapshot }),
  };
}

/** A composition that asks the plugin daemon. `tenant` lets one fake daemon tell runs apart. */
export function plugin(options: { readonly tenant?: string; readonly history?: boolean } = {}): RunBody {
  return {
    composition: {
      layers: [
        { name: 'prompt', type: 'plain.prompt', config: { prefix: 'You are terse.', user: 'What is the weather?' } },
        {
          name: 'execution_context',
          type: 'dify.execution_context',
          config: {
            tenant_id: options.tenant ?? 'tenant-1',
            user_id: 'user-1',
            user_from: 'account',
            app_id: 'app-1',
            agent_mode: 'workflow_run',
            invoke_from: 'service-api',
          },
        },
        {
          name: 'llm',
          type: 'dify.plugin.llm',
          deps: { execution_context: 'execution_context' },
          config: {
            plugin_id: 'langgenius/openai',
            model_provider: 'openai',
            model: 'gpt-4o-mini',
            credentials: { openai_api_key: 'sk-golden' },
          },
        },
        ...(options.history === true ? [{ name: 'history', type: 'pydantic_ai.history' }] : []),
      ],
    },
  };
}

/** `GET /runs/{id}`. */
export interface RunStatus {
  readonly run_id: string;
  readonly status: string;
  readonly created_at: string;
  readonly updated_at: string;
  readonly error: string | null;
}

/** Posts a body (an object, or exact text). */
export function post(baseUrl: string, body: RunBody | string): Promise<Response> {
  return fetch(`${baseUrl}/runs`, {
    method: 'POST',
    proxy: false,
    headers: { 'content-type': 'application/json' },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  } as RequestInit);
}

/** Posts a body that must be accepted; returns the run's id. */
export async function createRun(baseUrl: string, body: RunBody | string): Promise<string> {
  const response = await post(baseUrl, body);
  const text = await response.text();
  if (response.status !== 202) throw new Error(`POST /runs: ${response.status} ${text}`);
  return (JSON.parse(text) as { run_id: string }).run_id; // spec 01 §1.5
}

/** `GET` as text, redirects not followed. */
export async function get(url: string): Promise<{ readonly status: number; readonly text: string }> {
  const response = await fetch(url, { proxy: false, redirect: 'manual' } as RequestInit);
  return { status: response.status, text: await response.text() };
}

/** The status record of a known run. */
export async function runStatus(baseUrl: string, runId: string): Promise<RunStatus> {
  const { status, text } = await get(`${baseUrl}/runs/${runId}`);
  if (status !== 200) throw new Error(`GET /runs/${runId}: ${status} ${text}`);
  return JSON.parse(text) as RunStatus; // spec 01 §1.5
}

/** A finished run as a strict client saw it. */
export interface FinishedRun {
  readonly runId: string;
  readonly frames: readonly SseFrame[];
  readonly types: readonly string[];
  /** `data` of the terminal event. */
  readonly terminal: Readonly<Record<string, unknown>>;
  readonly status: RunStatus;
}

/** Follows a run to the end of its stream, which must end with its only terminal event. */
export async function finish(baseUrl: string, runId: string): Promise<FinishedRun> {
  const { frames } = await readSse(baseUrl, runId);
  const types = frames.map((frame) => frame.event);
  const terminals = types.filter((type) => TERMINAL_TYPES.includes(type));
  if (terminals.length !== 1 || !TERMINAL_TYPES.includes(types.at(-1) ?? '')) {
    throw new Error(`not exactly one terminal event at the end of ${runId}: ${types.join(', ')}`);
  }
  const last = JSON.parse(frames.at(-1)?.data ?? '') as { data: Record<string, unknown> }; // checked by the reader
  return { runId, frames, types, terminal: last.data, status: await runStatus(baseUrl, runId) };
}

/** Posts and follows. */
export async function runToEnd(baseUrl: string, body: RunBody | string): Promise<FinishedRun> {
  return finish(baseUrl, await createRun(baseUrl, body));
}
