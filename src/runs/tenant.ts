// On whose behalf a run acts, as its caller says. Read before anything of the composition is validated, by whoever tells, lists or
// keeps runs; how much of the name is shown or kept is theirs.

import { isJsonObject } from '../base/json.ts';
import type { RunLayerSpec } from '../protocol/runs.ts';
import { parseJson } from '../wiretext/json.ts';

/** The type of the layer that says it (docs/layers/execution-context.md). */
const CONTEXT_TYPE = 'dify.execution_context';
/** A configuration may be JSON text: one that is longer is not read for its tenant. */
const MAX_CONFIG_CHARS = 64 * 1024;

/** `tenant_id` of the execution context; null without one, or when it is no text or empty. The caller's text, of any length. */
export function statedTenant(layers: readonly Pick<RunLayerSpec, 'type' | 'config'>[]): string | null {
  const given = layers.find(({ type }) => type === CONTEXT_TYPE)?.config ?? null;
  const config = typeof given === 'string' ? parsed(given) : given;
  const tenant = isJsonObject(config) ? config.tenant_id : null;
  return typeof tenant === 'string' && tenant !== '' ? tenant : null;
}

function parsed(text: string): unknown {
  const result = text.length <= MAX_CONFIG_CHARS ? parseJson(text) : null;
  return result?.ok === true ? result.value : null;
}
