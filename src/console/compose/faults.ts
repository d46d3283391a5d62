// What the server says is wrong with a request (a 422's `detail`, spec 01 §1.3) at the places of the document. A fault is shown
// as long as what it was said about has not changed.

import type { Issue } from './check.ts';
import { at, get, type Node, type Path, print, type Step } from './document.ts';

/** A fault and what was at its place when the server saw it. */
export interface Fault {
  readonly issue: Issue;
  readonly seen: string;
}

/** Faults that are read of one answer. */
const MAX_FAULTS = 100;

interface Detail {
  readonly loc?: unknown;
  readonly msg?: unknown;
  readonly type?: unknown;
}

/** @param isRequest the document is a whole request, not a composition alone */
export function faultsOf(detail: unknown, root: Node, isRequest: boolean): readonly Fault[] {
  if (!Array.isArray(detail)) return [];
  return detail.slice(0, MAX_FAULTS).flatMap((entry: Detail | null) => {
    const { loc, msg, type } = entry ?? {};
    if (!Array.isArray(loc) || typeof msg !== 'string') return [];
    const steps = loc.filter((step): step is Step => typeof step === 'string' || typeof step === 'number');
    const path = pathOf(steps[0] === 'body' ? steps.slice(1) : steps, root, isRequest);
    const message = type === 'missing' ? `“${String(steps.at(-1))}” is missing.` : `${msg}.`.replace(/\.\.$/, '.');
    const atKey = type === 'extra_forbidden' ? { atKey: true as const } : {};
    return [{ issue: { path, message: `Server: ${message}`, level: 'error', ...atKey }, seen: seen(root, path) }];
  });
}

/** Of a composition that was posted in a request of its own; steps that are no keys name members of a union. */
function pathOf(steps: readonly Step[], root: Node, isRequest: boolean): Path {
  const rest = !isRequest && steps[0] === 'composition' ? steps.slice(1) : steps;
  const path: Step[] = [];
  let node: Node | undefined = root;
  for (const step of rest) {
    const inner: Node | undefined = get(node, step);
    if (inner === undefined) continue;
    path.push(step);
    node = inner;
  }
  return path;
}

/** Those that still hold. */
export function standing(faults: readonly Fault[], root: Node): readonly Issue[] {
  return faults.filter(({ issue, seen: then }) => seen(root, issue.path) === then).map(({ issue }) => issue);
}

function seen(root: Node, path: Path): string {
  const node = at(root, path);
  return node === undefined ? '' : print(node);
}
