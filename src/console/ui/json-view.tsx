// JSON to look at: a tree that is built where it is opened, with the size of each part; and pretty-printed text for small
// values. All of it is text.

import { useSignal } from '@preact/signals';
import { useMemo } from 'preact/hooks';
import type { JsonValue } from '../../client/types.ts';
import { bytes } from '../format.ts';
import { createSizes, membersOf, rawNumber } from '../json.ts';
import { brief, visible } from '../visible.ts';
import { LongText } from './parts.tsx';

/** Members that are built at once. */
const PAGE = 100;

interface TreeProps {
  /** Names the root. */
  readonly name: string;
  readonly value: JsonValue;
  /** Levels that are open at first. */
  readonly open?: number;
}

/** A value as a tree with sizes. */
export function JsonTree({ name, value, open = 1 }: TreeProps) {
  const sizes = useMemo(createSizes, []);
  return (
    <ul class="tree" aria-label={name}>
      <Node name={name} value={value} open={open} sizes={sizes} />
    </ul>
  );
}

interface NodeProps extends TreeProps {
  readonly open: number;
  readonly sizes: (value: JsonValue) => number;
}

function Node({ name, value, open, sizes }: NodeProps) {
  const members = membersOf(value);
  const isOpen = useSignal(open > 0);
  const shown = useSignal(PAGE);
  if (members === null) {
    return (
      <li>
        <span class="tree-leaf">
          <span class="tree-key">{visible(name)}</span> <Scalar value={value} />
        </span>
      </li>
    );
  }
  const toggle = (): void => {
    isOpen.value = !isOpen.value;
  };
  return (
    <li>
      <button type="button" class="tree-node" aria-expanded={isOpen.value} onClick={toggle}>
        <span class="tree-key">{visible(name)}</span>
        <span class="tree-kind">{Array.isArray(value) ? `[${members.length}]` : `{${members.length}}`}</span>
        {!isOpen.value && <span class="tree-brief">{briefOf(value)}</span>}
        <span class="tree-size">{bytes(sizes(value))}</span>
      </button>
      {isOpen.value && (
        <ul>
          {members.slice(0, shown.value).map(([key, member]) => (
            <Node key={key} name={key} value={member} open={open - 1} sizes={sizes} />
          ))}
          {members.length > shown.value && (
            <li>
              <button
                type="button"
                class="link"
                onClick={() => {
                  shown.value += PAGE * 10;
                }}
              >
                {members.length - shown.value} more
              </button>
            </li>
          )}
        </ul>
      )}
    </li>
  );
}

function Scalar({ value }: { readonly value: JsonValue }) {
  if (typeof value === 'string') {
    return value.length <= 200 && !value.includes('\n') ? (
      <span class="json-string text">{visible(JSON.stringify(value))}</span>
    ) : (
      <span class="json-string">
        <LongText text={value} />
      </span>
    );
  }
  return <span class="json-word">{rawNumber(value) ?? String(value)}</span>;
}

/** The beginning of a value, without printing all of it. */
function briefOf(value: JsonValue): string {
  const members = membersOf(value) ?? [];
  const words = members.slice(0, 4).map(([key, member]) => {
    const raw = rawNumber(member);
    const text =
      raw ??
      (typeof member === 'object' && member !== null
        ? '…'
        : JSON.stringify(typeof member === 'string' ? member.slice(0, 40) : member));
    return Array.isArray(value) ? text : `${key}: ${text}`;
  });
  return brief(words.join(', '), 80);
}

/** What certainly fits the box of `.json` without scrolling, in the smallest window. */
const SCROLLS = { lines: 16, characters: 600 } as const;

/** Pretty-printed, as text. */
export function JsonText({ value }: { readonly value: JsonValue }) {
  const text = useMemo(() => (typeof value === 'string' ? value : JSON.stringify(value, null, 2)), [value]);
  // What scrolls must be reachable with the keyboard; what does not must not stop it.
  const scrolls = text.length > SCROLLS.characters || text.split('\n').length > SCROLLS.lines;
  return (
    <pre class="json" {...(scrolls ? { tabIndex: 0, role: 'group', 'aria-label': 'JSON' } : {})}>
      <LongText text={text} />
    </pre>
  );
}
