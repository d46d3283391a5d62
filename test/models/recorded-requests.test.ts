// Every model request of the recorded traces, rebuilt from the trace's own composition and history: the body must be
// the recorded one to the byte. What the loop contributes (tools, retries) is taken from the trace.

import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { readdirSync, readFileSync } from 'node:fs';
import type { ToolDefinition } from '../../src/agent/model.ts';
import { isJsonObject, type JsonObject, type JsonValue } from '../../src/base/json.ts';
import { createPluginModel } from '../../src/models/plugin-daemon.ts';
import { pluginLlmConfig } from '../../src/models/plugin-llm-config.ts';
import { type ModelMessage, messageSchemas } from '../../src/protocol/messages.ts';
import { validate } from '../../src/validation/walker.ts';
import { parseJson, stringifyJson } from '../../src/wiretext/json.ts';
import { type FakeDaemon, startFakeDaemon } from '../fakes/plugin-daemon.ts';
import { clientFor, collect, quiet } from '../peers/plugin-daemon/kit.ts';

const FOLDER = new URL('../fixtures/reference/', import.meta.url);
const schemas = messageSchemas({ now: () => '2026-06-01T08:00:00Z', toolCallId: () => 'pyd_ai_0' });

interface Case {
  readonly name: string;
  readonly llm: JsonObject;
  readonly messages: readonly ModelMessage[];
  readonly body: JsonValue;
}

let daemon: FakeDaemon;
beforeAll(async () => {
  daemon = await startFakeDaemon();
});
afterAll(() => daemon.stop());

describe('recorded request', () => {
  test.each(cases().map((item) => [item.name, item] as const))('%s', async (_, item) => {
    const config = validate(pluginLlmConfig, item.llm);
    if (!config.ok) throw new Error(JSON.stringify(config.issues));
    const data = objectAt(item.body, 'data');
    daemon.play({ llm: [[]] });
    const model = createPluginModel(clientFor(daemon.url), config.value, { tenantId: 'tenant-1', userId: 'user-1' });
    await collect(model.stream({ messages: item.messages, tools: toolsOf(data) }, quiet()));
    expect(daemon.violations).toEqual([]);
    expect(daemon.llmRequests[0]?.bodyText).toBe(stringifyJson(item.body));
  });
});

function cases(): readonly Case[] {
  return readdirSync(FOLDER)
    .filter((file) => file.endsWith('.json'))
    .sort()
    .flatMap((file) =>
      casesOf(file.replace('.json', ''), objectOf(parse(readFileSync(new URL(file, FOLDER), 'utf8')))),
    );
}

function casesOf(name: string, trace: JsonObject): readonly Case[] {
  const requests = listAt(objectAt(trace, 'daemon'), 'llm_requests');
  const layers = listAt(objectAt(objectAt(trace, 'request'), 'composition'), 'layers').map(objectOf);
  const llm = layers.find((layer) => layer.name === 'llm')?.config;
  const prompts = layers.filter((layer) => layer.type === 'plain.prompt').map((layer) => objectOf(layer.config ?? {}));
  const known = ['plain.prompt', 'dify.execution_context', 'dify.plugin.llm', 'pydantic_ai.history'];
  const plain = layers.every(
    (layer) =>
      typeof layer.config !== 'string' && (known.includes(String(layer.type)) || layer.type === 'dify.plugin.tools'),
  );
  const context = layers.find((layer) => layer.name === 'execution_context')?.config;
  const usual = isJsonObject(context) && context.tenant_id === 'tenant-1' && context.user_id === 'user-1';
  if (requests.length === 0 || !isJsonObject(llm) || !plain || !usual || prompts.some((prompt) => prompt.suffix))
    return [];

  const system = prompts
    .flatMap((prompt) => texts(prompt.prefix))
    .map((content) => ({ part_kind: 'system-prompt', content }));
  const history = finalHistory(trace);
  if (history === null) {
    // Without a stored conversation only the first request can be rebuilt.
    const user = prompts.flatMap((prompt) => texts(prompt.user));
    if (layers.some((layer) => layer.type === 'pydantic_ai.history')) return [];
    const first = [{ kind: 'request', parts: [...system, { part_kind: 'user-prompt', content: user }] }];
    return [{ name, llm, messages: first.map(message), body: bodyOf(requests[0]) }];
  }
  // Request n was made of everything before the response that answered it.
  const responses = history.flatMap((entry, at) => (objectOf(entry).kind === 'response' ? [at] : []));
  const answered = responses.slice(-requests.length);
  return answered.flatMap((end, n) => {
    const before = history.slice(0, end);
    const messages = [{ kind: 'request', parts: system }, ...before].map(message);
    return [{ name: `${name} #${n + 1}`, llm, messages, body: bodyOf(requests[n]) }];
  });
}

/** The messages of the history layer after a run that succeeded, or null. */
function finalHistory(trace: JsonObject): readonly JsonValue[] | null {
  const data = listAt(trace, 'events').map(objectOf).at(-1)?.data;
  if (!isJsonObject(data) || !isJsonObject(data.session_snapshot)) return null;
  const layer = listAt(data.session_snapshot, 'layers')
    .map(objectOf)
    .find((entry) => entry.name === 'history');
  return layer === undefined ? null : listAt(objectAt(layer, 'runtime_state'), 'messages');
}

function message(raw: unknown): ModelMessage {
  const result = validate(schemas.message, raw);
  if (!result.ok) throw new Error(JSON.stringify(result.issues));
  return result.value;
}

function toolsOf(data: JsonObject): readonly ToolDefinition[] {
  return (data.tools === null ? [] : listAt(data, 'tools')).map((tool) => {
    const { name, description, parameters } = objectOf(tool);
    return { name: String(name), description: String(description), parameters: objectOf(parameters ?? {}) };
  });
}

function bodyOf(request: JsonValue | undefined): JsonValue {
  return objectOf(request ?? {}).body ?? null;
}

function texts(value: JsonValue | undefined): readonly string[] {
  if (typeof value === 'string') return [value];
  return Array.isArray(value) ? value.map(String) : [];
}

function parse(text: string): JsonValue {
  const result = parseJson(text);
  if (!result.ok) throw new Error('a fixture is not JSON');
  return result.value;
}

function objectOf(value: JsonValue): JsonObject {
  return isJsonObject(value) ? value : {};
}

function objectAt(value: JsonValue | undefined, key: string): JsonObject {
  return objectOf(objectOf(value ?? {})[key] ?? {});
}

function listAt(value: JsonObject, key: string): readonly JsonValue[] {
  const found = value[key];
  return Array.isArray(found) ? found : [];
}
