// `model_settings` → what the daemon calls `model_parameters` and `stop` (spec 03 §1.3).

import { isJsonObject, type JsonObject, type JsonValue } from '../base/json.ts';
import { keysOf, objectFromEntries } from '../wiretext/json.ts';
import { numberText } from '../wiretext/numbers.ts';
import type { ModelSettings } from './plugin-llm-config.ts';

/** The two keys of the request that settings fill. */
export interface ModelParameters {
  readonly model_parameters: JsonObject;
  readonly stop: readonly string[] | null;
}

/** Settings that do not travel under their own name. */
const HANDLED = new Set(['thinking', 'extra_body', 'stop_sequences']);

/**
 * Every setting with a value, in its order; the members of an object `extra_body` go on top of them and win. `thinking`
 * is dropped: the profile does not claim it.
 */
export function modelParameters(settings: ModelSettings | null): ModelParameters {
  if (settings === null) return { model_parameters: {}, stop: null };
  const values = settings as Readonly<Record<string, JsonValue | undefined>>; // validated JSON
  const entries: [string, JsonValue][] = [];
  for (const key of keysOf(values)) {
    const value = values[key];
    if (!HANDLED.has(key) && value !== undefined && value !== null) entries.push([key, value]);
  }
  const extra = settings.extra_body;
  if (isJsonObject(extra)) for (const key of keysOf(extra)) entries.push([key, extra[key] ?? null]);
  const stop = settings.stop_sequences ?? [];
  return { model_parameters: objectFromEntries(entries), stop: stop.length === 0 ? null : stop };
}

/** The `max_tokens` setting as texts show it, or null. */
export function maxTokensText(settings: ModelSettings | null): string | null {
  return settings?.max_tokens === undefined ? null : numberText(settings.max_tokens);
}
