// The server's list of runs as rows: read with care (another version may answer), pages put together without repeats.

import type { JsonObject, JsonValue } from '../../client/types.ts';
import { instant } from '../format.ts';
import { isObject, textOr } from '../json.ts';

/** A layer without its configuration. */
export interface LayerOutline {
  readonly name: string;
  readonly type: string;
  /** Key → name of the layer that it depends on. */
  readonly deps?: Readonly<Record<string, string>> | null;
}

/** A run of the list. Times are ms since the epoch. */
export interface RunRow {
  readonly runId: string;
  readonly status: string;
  readonly createdAt: number | null;
  readonly updatedAt: number | null;
  readonly error: string;
  readonly reason: string;
  /** Empty: none is known. */
  readonly tenant: string;
  readonly totalTokens: number | null;
  /** Empty: not known. */
  readonly layers: readonly LayerOutline[];
  /** How many more it has. */
  readonly layersOmitted: number;
}

export interface RunPage {
  readonly rows: readonly RunRow[];
  /** Null: there are no more. */
  readonly next: string | null;
}

/** A page of the list. @throws Error for something else */
export function readPage(value: unknown): RunPage {
  const page = value as JsonValue; // it was parsed from JSON
  if (!isObject(page) || !Array.isArray(page.items))
    throw new Error('the server answered with something else than a list of runs');
  const { next_after: next } = page;
  return { rows: page.items.filter(isObject).map(rowOf), next: typeof next === 'string' ? next : null };
}

function rowOf(item: JsonObject): RunRow {
  const { usage } = item;
  const tokens = isObject(usage) ? usage.total_tokens : undefined;
  return {
    runId: textOr(item.run_id, ''),
    status: textOr(item.status, 'unknown'),
    createdAt: instant(textOr(item.created_at, '')),
    updatedAt: instant(textOr(item.updated_at, '')),
    error: textOr(item.error, ''),
    reason: textOr(item.reason, ''),
    tenant: textOr(item.tenant_id, ''),
    totalTokens: typeof tokens === 'number' ? tokens : null,
    layers: Array.isArray(item.layers) ? item.layers.filter(isObject).map(layerOf) : [],
    layersOmitted: typeof item.layers_omitted === 'number' ? item.layers_omitted : 0,
  };
}

/** The first layers as a list of runs has them, the others by their names: a snapshot has all of them, in order. */
export function withNames(
  outlined: readonly LayerOutline[],
  snapshot: { readonly layers: readonly { readonly name: string }[] } | null,
): readonly LayerOutline[] {
  const more = snapshot?.layers.slice(outlined.length) ?? [];
  return more.length === 0 ? outlined : [...outlined, ...more.map(({ name }) => ({ name, type: '' }))];
}

function layerOf(layer: JsonObject): LayerOutline {
  const deps = isObject(layer.deps)
    ? Object.fromEntries(
        Object.entries(layer.deps).flatMap(([key, name]) => (typeof name === 'string' ? [[key, name]] : [])),
      )
    : null;
  return { name: textOr(layer.name, ''), type: textOr(layer.type, ''), deps };
}

/** Newer rows and older ones: what is in both is as the newer ones say. */
export function joined(newer: readonly RunRow[], older: readonly RunRow[]): readonly RunRow[] {
  const ids = new Set(newer.map(({ runId }) => runId));
  return [...newer, ...older.filter(({ runId }) => !ids.has(runId))];
}

/** From creation to the end, or to now, ms; null: not known. */
export function lengthOf({ status, createdAt, updatedAt }: RunRow, now: number): number | null {
  if (createdAt === null) return null;
  const end = status === 'running' ? now : updatedAt;
  return end === null ? null : Math.max(0, end - createdAt);
}
