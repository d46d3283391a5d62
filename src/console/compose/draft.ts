// The document that is being written: one text, from which everything else follows (the tree, the forms, the issues, the
// snippets), and the ways to change it. Credentials are not in the text but in a vault beside it (secrets.ts).

import { computed, type ReadonlySignal, type Signal, signal } from '@preact/signals';
import type { CreateRunRequest } from '../../client/types.ts';
import { checkDocument, type Issue } from './check.ts';
import { at, get, list, type Node, object, type Path, print, put, type Step } from './document.ts';
import { type Fault, faultsOf, standing } from './faults.ts';
import { checkGraph } from './graph-check.ts';
import { nodeOf, plainOf, type Reading, readJson } from './reader.ts';
import type { Catalogue } from './schema.ts';
import { isPlaceholder, keep, mask, secretPlaces, unmask, type Vault } from './secrets.ts';

/** What can be taken back. */
export interface Undo {
  /** `Removed the layer “llm”.` */
  readonly what: string;
  /** Of what comes back. */
  readonly path: Path;
  readonly restore: () => void;
}

export interface Draft {
  readonly known: Catalogue;
  /** What stands in the editor. */
  readonly text: ReadonlySignal<string>;
  readonly reading: ReadonlySignal<Reading>;
  /** The tree; while the text is no JSON, the last one that it had. */
  readonly root: ReadonlySignal<Node>;
  /** A whole request, or a composition alone. */
  readonly isRequest: ReadonlySignal<boolean>;
  /** Of the composition. */
  readonly base: ReadonlySignal<Path>;
  readonly issues: ReadonlySignal<readonly Issue[]>;
  /** The issues by `keyOf` their paths. */
  readonly issuesAt: ReadonlySignal<ReadonlyMap<string, readonly Issue[]>>;
  /** `keyOf` the paths of credentials. */
  readonly secrets: ReadonlySignal<ReadonlySet<string>>;
  /** The whole request with placeholders for all credentials: for snippets. */
  readonly shown: ReadonlySignal<Node>;
  readonly undo: ReadonlySignal<Undo | null>;
  /** The editor's text. */
  type(text: string): void;
  /** Credentials that were typed or pasted into the text leave it; lines that no editor can show are broken. */
  settle(): void;
  /** Prints the document anew. */
  format(): void;
  /** Another value at a path of the document; undefined: none. */
  edit(path: Path, value: Node | undefined): void;
  /** The same for a member of the request; a composition alone becomes a request. */
  editRequest(path: Path, value: Node | undefined): void;
  /** As `edit` with undefined, with a way back. */
  remove(path: Path, what: string): void;
  /** Everything anew, with a way back. */
  replace(value: unknown, what: string): void;
  dismiss(): void;
  /** What is behind the placeholder at a path. */
  secretAt(path: Path): string;
  setSecret(path: Path, value: Node): void;
  /** What the server says is wrong. False: nothing that has a place. */
  refuse(detail: unknown): boolean;
  /** What is posted, credentials and all; null: the text is no JSON object. */
  request(): CreateRunRequest | null;
}

/** One text for a path. */
export function keyOf(path: Path): string {
  return JSON.stringify(path);
}

/** @param initial a request, or a composition */
export function createDraft(known: Catalogue, initial: unknown): Draft {
  const vault: Signal<Vault> = signal(new Map());
  const text = signal('');
  const faults = signal<readonly Fault[]>([]);
  const undo = signal<Undo | null>(null);
  let last: Node = nodeOf(initial);

  const reading = computed(() => readJson(text.value));
  const root = computed(() => {
    last = reading.value.root ?? last;
    return last;
  });
  const isRequest = computed(
    () => get(root.value, 'composition') !== undefined || get(root.value, 'layers') === undefined,
  );
  const base = computed<Path>(() => (isRequest.value ? ['composition'] : []));
  const places = computed(() => secretPlaces(known, at(root.value, base.value), base.value));
  const secrets = computed(() => new Set(places.value.map(({ path }) => keyOf(path))));
  const shown = computed(() => asRequest(mask(root.value, vault.value, places.value).root, isRequest.value));
  const issues = computed(() => {
    if (reading.value.root === null) return [];
    const composition = at(root.value, base.value);
    const request = isRequest.value ? root.value : object([]);
    return [
      ...checkDocument(known, root.value, isRequest.value),
      ...(composition === undefined ? [] : checkGraph(known, request, composition, base.value)),
      ...places.value.filter(({ node }) => isPlaceholder(node) && !vault.value.has(valueText(node))).map(toType),
      ...standing(faults.value, root.value),
    ];
  });
  const issuesAt = computed(() => Map.groupBy(issues.value, ({ path }) => keyOf(path)));

  const show = (node: Node): void => {
    text.value = print(node);
  };
  const settle = (): void => {
    if (reading.value.root === null) return;
    const masked = mask(root.value, vault.value, places.value);
    if (masked.root === root.value && !hasLongLine(text.value)) return;
    vault.value = masked.vault;
    show(masked.root);
  };
  const begin = (node: Node): void => {
    show(node);
    settle();
  };
  const edit = (path: Path, value: Node | undefined): void => show(put(root.value, path, value));
  begin(last);

  return {
    known,
    text,
    reading,
    root,
    isRequest,
    base,
    issues,
    issuesAt,
    secrets,
    shown,
    undo,
    type(typed) {
      text.value = typed;
    },
    settle,
    format: () => show(root.value),
    edit,
    editRequest: (path, value) => show(put(asRequest(root.value, isRequest.value), path, value)),
    remove(path, what) {
      const removed = at(root.value, path);
      const place = memberIndex(root.value, path);
      edit(path, undefined);
      if (removed === undefined) return;
      undo.value = {
        what,
        path,
        restore() {
          show(inserted(root.value, path, place, removed));
          undo.value = null;
        },
      };
    },
    replace(value, what) {
      const before = text.value;
      begin(nodeOf(value));
      faults.value = [];
      undo.value = {
        what,
        path: [],
        restore() {
          text.value = before;
          undo.value = null;
        },
      };
    },
    dismiss() {
      undo.value = null;
    },
    secretAt(path) {
      const node = at(root.value, path);
      const value = valueText(node);
      return valueText(vault.value.get(value)) || value;
    },
    setSecret(path, value) {
      const kept = keep({ root: root.value, vault: vault.value }, path, value);
      vault.value = kept.vault;
      show(kept.root);
    },
    refuse(detail) {
      faults.value = faultsOf(detail, root.value, isRequest.value);
      return faults.value.length > 0;
    },
    request() {
      const { root: node } = reading.value;
      if (node?.kind !== 'object') return null;
      const whole = asRequest(unmask({ root: node, vault: vault.value }, places.value), isRequest.value);
      return plainOf(whole) as CreateRunRequest; // what is wrong with it, the server says
    },
  };
}

function asRequest(root: Node, isRequest: boolean): Node {
  return isRequest ? root : object([['composition', root]]);
}

/** Characters of a line that a browser still lays out at once. */
const LONG_LINE = 20_000;

function hasLongLine(source: string): boolean {
  let start = 0;
  for (let end = source.indexOf('\n'); end >= 0; end = source.indexOf('\n', start)) {
    if (end - start > LONG_LINE) return true;
    start = end + 1;
  }
  return source.length - start > LONG_LINE;
}

function valueText(node: Node | undefined): string {
  return node?.kind === 'text' ? node.value : node?.kind === 'number' ? node.text : '';
}

function toType({ path }: { readonly path: Path }): Issue {
  return { path, level: 'error', message: 'The value behind this placeholder is not known here: type it.' };
}

/** Where among its neighbours something stands. */
function memberIndex(root: Node, path: Path): number {
  const parent = at(root, path.slice(0, -1));
  const step = path.at(-1);
  if (parent?.kind === 'object') return parent.members.findLastIndex(({ key }) => key === step);
  return typeof step === 'number' ? step : -1;
}

/** The tree with something back at its place, as far as that is still there. */
function inserted(root: Node, path: Path, index: number, node: Node): Node {
  const before = path.slice(0, -1);
  const step: Step = path.at(-1) ?? '';
  const parent = at(root, before);
  if (parent?.kind === 'list') return put(root, before, list(parent.items.toSpliced(index, 0, node)));
  if (parent?.kind !== 'object' || get(parent, step) !== undefined) return root;
  const added = { key: String(step), keyStart: 0, keyEnd: 0, value: node };
  return put(root, before, { ...parent, members: parent.members.toSpliced(index, 0, added) });
}
