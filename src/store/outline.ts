// What a store keeps of a run for lists: an outline of its composition, and how it ended. Names, types and counts only, each
// bounded, as short JSON texts; a configuration is looked at for the tenant and for nothing else. Where the texts are kept is
// the stores' business.

import { isJsonObject } from '../base/json.ts';
import type { OutlinedLayer, RunComposition, RunLayerSpec } from '../protocol/runs.ts';
import type { EndFacts, ListedRun } from '../runs/ports.ts';
import { statedTenant } from '../runs/tenant.ts';

/** Layers that are kept of a composition. */
export const MAX_LAYERS = 64;
/** Bytes of JSON that the kept layers have together, at most. */
export const MAX_LAYERS_BYTES = 8 * 1024;
/** Characters that are kept of a name, a type, a tenant, a reason. What is longer ends with `…`. */
export const MAX_NAME_CHARS = 128;

/** Characters of an error that lists show, likewise. */
export const MAX_ERROR_CHARS = 2_000;

/** The outline as stores keep it. */
export interface OutlineTexts {
  readonly tenant: string | null;
  /** `{"layers":[…],"omitted":n}` */
  readonly layers: string;
}

/** The outline of a composition, of whatever shape its configurations are. */
export function outlineTexts({ layers }: RunComposition): OutlineTexts {
  let kept = layers.slice(0, MAX_LAYERS).map(outlined);
  let text = JSON.stringify(kept);
  if (3 * text.length > MAX_LAYERS_BYTES) {
    kept = within(kept, MAX_LAYERS_BYTES);
    text = JSON.stringify(kept);
  }
  const tenant = statedTenant(layers);
  return {
    tenant: tenant === null ? null : shortText(tenant),
    layers: `{"layers":${text},"omitted":${layers.length - kept.length}}`,
  };
}

/** As many of them, from the first on, as have so many bytes together. */
function within(layers: readonly OutlinedLayer[], maxBytes: number): OutlinedLayer[] {
  let bytes = 0;
  const end = layers.findIndex((layer) => {
    bytes += Buffer.byteLength(JSON.stringify(layer)) + 1;
    return bytes > maxBytes;
  });
  return layers.slice(0, end === -1 ? undefined : end);
}

function outlined({ name, type, deps }: RunLayerSpec): OutlinedLayer {
  const named = { name: shortText(name), type: shortText(type) };
  const links = Object.entries(deps);
  if (links.length === 0) return named;
  return { ...named, deps: Object.fromEntries(links.map(([key, layer]) => [shortText(key), shortText(layer)])) };
}

/** As names are kept, and as they are looked for. */
export function shortText(text: string, maxChars = MAX_NAME_CHARS): string {
  if (text.length <= maxChars && text.isWellFormed()) return text;
  const short = text.length > maxChars ? `${text.slice(0, maxChars - 1)}…` : text;
  return short.toWellFormed();
}

/** The end as stores keep it: `[reason, error type, prompt tokens, completion tokens]`. */
export function factsText({ reason, errorType, usage }: EndFacts): string {
  return JSON.stringify([
    reason === null ? null : shortText(reason),
    errorType === null ? null : shortText(errorType),
    usage?.promptTokens ?? null,
    usage?.completionTokens ?? null,
  ]);
}

/** Reads what outlineTexts and factsText wrote; what cannot be read is not known. */
export function listedRun(
  record: ListedRun['record'],
  kept: { readonly tenant: string | null; readonly layers: string | null; readonly facts: string | null },
): ListedRun {
  const outline = parsed(kept.layers);
  const facts = parsed(kept.facts);
  return {
    record: record.error === null ? record : { ...record, error: shortText(record.error, MAX_ERROR_CHARS) },
    outline:
      isJsonObject(outline) && Array.isArray(outline.layers)
        ? {
            tenantId: kept.tenant,
            // Only `outlined` above writes there.
            layers: outline.layers as unknown as readonly OutlinedLayer[],
            layersOmitted: numberOr(outline.omitted, 0),
          }
        : null,
    facts: Array.isArray(facts) ? factsOf(facts) : null,
  };
}

function factsOf([reason, errorType, prompt, completion]: readonly unknown[]): EndFacts {
  const used = typeof prompt === 'number' && typeof completion === 'number';
  return {
    reason: typeof reason === 'string' ? reason : null,
    errorType: typeof errorType === 'string' ? errorType : null,
    usage: used ? { promptTokens: prompt, completionTokens: completion } : null,
  };
}

function parsed(text: string | null): unknown {
  if (text === null) return null;
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function numberOr(value: unknown, fallback: number): number {
  return typeof value === 'number' ? value : fallback;
}
