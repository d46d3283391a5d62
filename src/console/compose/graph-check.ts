// What is wrong with the layers of a composition as a whole: names, dependencies, types, reserved places. The rules are the
// server's (docs/layers, docs/run-lifecycle.md), which finds them out when the run has begun: here they are told before.

import type { Issue } from './check.ts';
import { get, itemsOf, membersOf, type Node, type Path, textOf } from './document.ts';
import { type Catalogue, type LayerInfo, layerInfo } from './schema.ts';

/** Names that the server looks layers up by → class names that may stand there. */
export const RESERVED: Readonly<Record<string, readonly string[]>> = {
  llm: ['DifyPluginLLMLayer', 'ScriptedLLMLayer'],
  history: ['PydanticAIHistoryLayer'],
  output: ['DifyOutputLayer'],
};

/** A layer as far as the others are concerned. */
export interface Place {
  readonly name: string;
  readonly type: string;
  /** Null: no type of this server, as far as this page knows. */
  readonly info: LayerInfo | null;
}

/** The layers of a composition. */
export function placesOf(known: Catalogue, layers: Node | undefined): readonly Place[] {
  return itemsOf(layers).map((layer) => {
    const type = textOf(get(layer, 'type')) ?? '';
    return { name: textOf(get(layer, 'name')) ?? '', type, info: layerInfo(known, type) };
  });
}

/** @param path of the composition */
export function checkGraph(known: Catalogue, request: Node, composition: Node, path: Path): readonly Issue[] {
  const layers = get(composition, 'layers');
  if (layers?.kind !== 'list') return [];
  const places = placesOf(known, layers);
  const issues: Issue[] = [];
  const add = (level: Issue['level'], at: Path, message: string): void => {
    issues.push({ level, path: [...path, 'layers', ...at], message });
  };
  for (const [index, layer] of layers.items.entries()) {
    if (layer.kind !== 'object') continue;
    checkNames(places, index, (level, key, message) => add(level, [index, key], message));
    checkDependencies(places, index, get(layer, 'deps'), add);
  }
  checkModel(places, get(request, 'session_snapshot'), path, issues);
  checkHuman(places, add);
  checkExits(places, get(get(request, 'on_exit'), 'layers'), issues);
  return issues;
}

type Add = (level: Issue['level'], at: Path, message: string) => void;

function checkNames(
  places: readonly Place[],
  index: number,
  add: (level: Issue['level'], key: string, message: string) => void,
): void {
  const place = places[index];
  if (place === undefined) return;
  const { name, type, info } = place;
  if (name === '') add('error', 'name', 'A layer needs a name.');
  else if (places.findIndex((other) => other.name === name) !== index)
    add('error', 'name', 'Another layer has this name.');
  const allowed = Object.hasOwn(RESERVED, name) ? RESERVED[name] : undefined;
  if (allowed !== undefined && info !== null && !allowed.includes(info.className)) {
    add('error', 'name', `The name “${name}” is kept for a layer of another type.`);
  }
  if (info === null) {
    if (type !== '') add('warning', 'type', 'This page knows no such type; the server may.');
    return;
  }
  const home = homeOf(info);
  if (home !== null && name !== '' && name !== home) {
    add('error', 'name', `A layer of this type must have the name “${home}”.`);
  }
}

/** The reserved name that a type must have; null: none. */
export function homeOf({ className }: LayerInfo): string | null {
  return Object.keys(RESERVED).find((name) => RESERVED[name]?.includes(className)) ?? null;
}

function checkDependencies(places: readonly Place[], index: number, deps: Node | undefined, add: Add): void {
  const info = places[index]?.info ?? null;
  const edges = membersOf(deps);
  for (const [key, { required }] of Object.entries(info?.deps ?? {})) {
    if (required && !edges.some((edge) => edge.key === key)) {
      add('error', [index], `The dependency “${key}” is missing.`);
    }
  }
  for (const { key, value } of edges) {
    const at = [index, 'deps', key];
    const wanted = info !== null && Object.hasOwn(info.deps, key) ? info.deps[key] : undefined;
    if (info !== null && wanted === undefined) {
      add('error', at, 'A layer of this type has no such dependency.');
      continue;
    }
    const name = textOf(value);
    if (name === undefined) continue;
    const target = places.findIndex((place) => place.name === name);
    const found = places[target];
    if (found === undefined) add('error', at, 'No layer has this name.');
    else if (target >= index) add('error', at, 'A dependency must stand before the layer that needs it.');
    else if (wanted !== undefined && found.info !== null && !wanted.classNames.includes(found.info.className)) {
      add('error', at, 'A layer of this type cannot be this dependency.');
    }
  }
}

function checkModel(places: readonly Place[], snapshot: Node | undefined, path: Path, issues: Issue[]): void {
  if (places.some(({ name }) => name === 'llm')) return;
  const resumes = snapshot?.kind === 'object';
  issues.push({
    level: resumes ? 'warning' : 'error',
    path: [...path, 'layers'],
    message: resumes
      ? 'Without a layer named “llm” the run only resumes its layers and leaves them.'
      : 'A model is missing: a layer with the name “llm”.',
  });
}

function checkHuman(places: readonly Place[], add: Add): void {
  const asking = places.flatMap(({ type }, index) => (type === 'dify.ask_human' ? [index] : []));
  const [first, ...others] = asking;
  if (first === undefined) return;
  for (const other of others) add('error', [other, 'type'], 'Only one layer of this type is allowed.');
  if (!places.some(({ name }) => name === 'history')) {
    add('warning', [first, 'type'], 'A question can only be answered with a “history” layer, which keeps it.');
  }
}

function checkExits(places: readonly Place[], exits: Node | undefined, issues: Issue[]): void {
  for (const { key } of membersOf(exits)) {
    if (places.some(({ name }) => name === key)) continue;
    issues.push({ level: 'error', path: ['on_exit', 'layers', key], message: 'No layer has this name.', atKey: true });
  }
}
