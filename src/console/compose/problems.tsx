// What is wrong with the document, as a list whose entries lead to the place in the form and in the text.

import { brief } from '../visible.ts';
import type { Issue } from './check.ts';
import { at, membersOf, type Node, type Path } from './document.ts';
import type { Draft } from './draft.ts';
import type { Mark } from './editor.tsx';
import { type Place, placer } from './reader.ts';

/** An issue, or the one reason why a text is no JSON, with its place in the text. */
export interface Trouble {
  readonly level: Issue['level'];
  readonly message: string;
  readonly path: Path;
  readonly place: Place;
  /** Offsets in the text. */
  readonly start: number;
  readonly end: number;
  /** There is a form field, too. */
  readonly inForm: boolean;
}

/** Entries that are listed; then they are counted. */
const SHOWN = 12;

/** Errors first, each in the order of the text. */
export function troublesOf(draft: Draft): readonly Trouble[] {
  const placeAt = placer(draft.text.value);
  const { root, fault } = draft.reading.value;
  if (root === null) {
    const { offset, message } = fault;
    const place = placeAt(offset);
    return [{ level: 'error', message, path: [], place, start: offset, end: offset, inForm: false }];
  }
  const troubles = draft.issues.value.map((issue): Trouble => {
    const { start, end } = spanOf(root, issue);
    return { ...issue, place: placeAt(start), start, end, inForm: issue.path.length > 0 };
  });
  const rank = ({ level }: Trouble): number => (level === 'error' ? 0 : 1);
  return troubles.sort((a, b) => rank(a) - rank(b) || a.start - b.start);
}

/** Of a value that is long, its beginning. */
function spanOf(root: Node, { path, atKey }: Issue): { readonly start: number; readonly end: number } {
  const parent = at(root, path.slice(0, -1));
  const step = path.at(-1);
  const found = membersOf(parent).findLast(({ key }) => key === step);
  if (atKey === true && found !== undefined) return { start: found.keyStart, end: found.keyEnd };
  // What stands nearest, when the place itself is not there.
  for (let depth = path.length; depth >= 0; depth -= 1) {
    const node = at(root, path.slice(0, depth));
    if (node === undefined) continue;
    const isLong = node.kind === 'object' || node.kind === 'list';
    return { start: node.start, end: isLong ? node.start + 1 : node.end };
  }
  return { start: 0, end: 0 };
}

/** For the numbers of lines. */
export function marksOf(troubles: readonly Trouble[]): readonly Mark[] {
  return troubles.map(({ place: { line }, level }) => ({ line, level }));
}

interface ProblemsProps {
  readonly troubles: readonly Trouble[];
  readonly onShow: (trouble: Trouble, where: 'form' | 'json') => void;
}

export function Problems({ troubles, onShow }: ProblemsProps) {
  if (troubles.length === 0) return null;
  return (
    <ul class="problems">
      {troubles.slice(0, SHOWN).map((trouble, index) => (
        <li key={`${index} ${trouble.start}`} class={trouble.level}>
          <button type="button" class="link problem-place" onClick={() => onShow(trouble, 'json')}>
            {trouble.place.line}:{trouble.place.column}
            <span class="unseen"> in the JSON</span>
          </button>
          <span class="text">
            {trouble.path.length > 0 && <code>{brief(trouble.path.join('.'), 120)}</code>} {brief(trouble.message, 400)}
          </span>
          {trouble.inForm && (
            <button type="button" class="link" onClick={() => onShow(trouble, 'form')}>
              in the form
            </button>
          )}
        </li>
      ))}
      {troubles.length > SHOWN && <li class="muted">and {troubles.length - SHOWN} more</li>}
    </ul>
  );
}
