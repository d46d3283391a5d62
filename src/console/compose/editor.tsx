// The text of the document: an area with numbers of lines, marks where something is wrong, and suggestions at the cursor.

import { useSignal } from '@preact/signals';
import { useEffect, useId, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { brief } from '../visible.ts';
import { type Completion, complete, type Suggestion } from './complete.ts';
import type { Draft } from './draft.ts';
import { placeOf } from './reader.ts';

/** A line that something is wrong with. */
export interface Mark {
  readonly line: number;
  readonly level: 'error' | 'warning';
}

/** A place to go to; a new object each time. */
export interface Target {
  readonly start: number;
  readonly end: number;
}

interface EditorProps {
  readonly draft: Draft;
  readonly marks: readonly Mark[];
  readonly target: Target | null;
}

/** Height of a line and of the padding, px, as in compose.css. */
const LINE = 18;
const PADDING = 8;
/** Lines beyond which numbers are left out: they would be as heavy as the text. */
const MAX_LINES = 5_000;
/** Characters of a long text. */
const LONG = 50_000;
const QUIET_MS = 400;

export function Editor({ draft, marks, target }: EditorProps) {
  const area = useRef<HTMLTextAreaElement>(null);
  const gutter = useRef<HTMLDivElement>(null);
  const offer = useSignal<Completion | null>(null);
  const chosen = useSignal(0);
  const scrolled = useSignal({ top: 0, left: 0 });
  const id = useId();
  const source = draft.text.value;
  const shown = useSettled(source, area);
  const lines = source.split('\n').length;

  useEffect(() => {
    const { current } = area;
    if (target === null || current === null) return;
    current.value = draft.text.value;
    current.focus();
    current.setSelectionRange(target.start, target.end);
    current.scrollTop = Math.max(0, (placeOf(current.value, target.start).line - 4) * LINE);
    current.scrollLeft = 0;
  }, [target]);

  const look = (): void => {
    const { current } = area;
    if (current === null || current.selectionStart !== current.selectionEnd) return;
    chosen.value = 0;
    scrolled.value = { top: current.scrollTop, left: current.scrollLeft };
    offer.value = complete(draft.known, current.value, current.selectionStart, draft.root.value);
  };
  const insert = (text: string, back: number): void => {
    const { current } = area;
    // The only way to change a text so that the browser can undo it; where it is gone, the change itself matters more.
    if (!document.execCommand('insertText', false, text)) {
      current?.setRangeText(text, current.selectionStart, current.selectionEnd, 'end');
    }
    if (current === null) return;
    const cursor = current.selectionStart - back;
    current.setSelectionRange(cursor, cursor);
    draft.type(current.value);
  };
  const accept = ({ insert: text, back }: Suggestion): void => {
    const { current } = area;
    const { value: completion } = offer;
    if (current === null || completion === null) return;
    current.focus();
    current.setSelectionRange(completion.start, completion.end);
    insert(text, back);
    offer.value = null;
    // A key that has only a few values offers them at once.
    if (/: $/.test(text)) look();
  };
  const onKey = (event: KeyboardEvent): void => {
    if (event.key === ' ' && event.ctrlKey) {
      event.preventDefault();
      look();
      return;
    }
    const { value: completion } = offer;
    if (completion !== null) {
      const { suggestions } = completion;
      const step = event.key === 'ArrowDown' ? 1 : event.key === 'ArrowUp' ? -1 : 0;
      if (step !== 0) {
        event.preventDefault();
        chosen.value = (chosen.value + step + suggestions.length) % suggestions.length;
        return;
      }
      const suggestion = suggestions[chosen.value];
      const isPlain = !event.shiftKey && !event.ctrlKey && !event.metaKey;
      if ((event.key === 'Enter' || event.key === 'Tab') && isPlain && suggestion !== undefined) {
        event.preventDefault();
        accept(suggestion);
        return;
      }
      if (event.key === 'Escape' || event.key.startsWith('Arrow') || event.key === 'Tab') offer.value = null;
      if (event.key === 'Escape') event.preventDefault();
      return;
    }
    if (event.key === 'Enter' && !event.ctrlKey && !event.metaKey && !event.altKey && !event.isComposing) {
      event.preventDefault();
      breakLine();
    }
  };
  /** A new line, as deep as it should be. */
  const breakLine = (): void => {
    const { current } = area;
    if (current === null) return;
    const before = current.value.slice(0, current.selectionStart);
    const indent = /(?:^|\n)([ \t]*)[^\n]*$/.exec(before)?.[1] ?? '';
    const opens = /[[{]\s*$/.test(before);
    const closes = opens && /^\s*[\]}]/.test(current.value.slice(current.selectionEnd));
    const inner = `\n${indent}${opens ? '  ' : ''}`;
    insert(closes ? `${inner}\n${indent}` : inner, closes ? indent.length + 1 : 0);
  };
  /** What is long is put in at once: editing commands of browsers take their time for every line. */
  const paste = (event: ClipboardEvent): void => {
    const { current } = area;
    const pasted = event.clipboardData?.getData('text/plain') ?? '';
    if (current === null || pasted.length <= LONG) {
      setTimeout(draft.settle, 0);
      return;
    }
    event.preventDefault();
    const { value, selectionStart, selectionEnd } = current;
    draft.type(value.slice(0, selectionStart) + pasted + value.slice(selectionEnd));
    draft.settle();
  };
  const place = offer.value === null ? null : placeOf(source, offer.value.start);

  return (
    <div class="editor">
      <div class="editor-gutter" ref={gutter} aria-hidden="true">
        {lines <= MAX_LINES && <Numbers lines={lines} marks={marks} />}
      </div>
      <label class="unseen" htmlFor={id}>
        Request as JSON: a composition, or the whole body of POST /runs
      </label>
      <textarea
        id={id}
        ref={area}
        class="mono editor-text"
        wrap="off"
        spellcheck={false}
        autocomplete="off"
        aria-autocomplete="list"
        aria-invalid={draft.reading.value.fault !== null}
        {...(offer.value === null
          ? {}
          : { 'aria-controls': `${id}-list`, 'aria-activedescendant': `${id}-${chosen.value}` })}
        value={shown}
        onFocus={(event) => {
          event.currentTarget.value = draft.text.value;
        }}
        onInput={(event) => {
          draft.type(event.currentTarget.value);
          // Only what is typed asks for suggestions; what is pasted or deleted by the page of text does not.
          if (event.inputType === 'insertText' || event.inputType === 'deleteContentBackward') look();
          else offer.value = null;
        }}
        onKeyDown={onKey}
        onPaste={paste}
        onScroll={({ currentTarget: { scrollTop: top, scrollLeft: left } }) => {
          if (gutter.current !== null) gutter.current.scrollTop = top;
          if (offer.value !== null) scrolled.value = { top, left };
        }}
        onClick={() => {
          offer.value = null;
        }}
        onBlur={() => {
          offer.value = null;
          draft.settle();
        }}
      />
      {offer.value !== null && place !== null && (
        <Suggestions
          id={id}
          completion={offer.value}
          chosen={chosen.value}
          top={place.line * LINE + PADDING - scrolled.value.top}
          column={place.column - 1}
          scrolled={scrolled.value.left}
          onPick={accept}
        />
      )}
    </div>
  );
}

/** The text for the area. A long one that is changed elsewhere, key by key, comes when it has been quiet: it takes long to lay out. */
function useSettled(source: string, area: { readonly current: HTMLTextAreaElement | null }): string {
  const [settled, setSettled] = useState(source);
  const isHeld = source.length > LONG && area.current !== null && document.activeElement !== area.current;
  useEffect(() => {
    if (source.length <= LONG) return undefined;
    const timer = setTimeout(() => setSettled(source), isHeld ? QUIET_MS : 0);
    return () => clearTimeout(timer);
  }, [source, isHeld]);
  return isHeld ? settled : source;
}

function Numbers({ lines, marks }: { readonly lines: number; readonly marks: readonly Mark[] }) {
  const levels = new Map<number, Mark['level']>();
  for (const { line, level } of marks) if (levels.get(line) !== 'error') levels.set(line, level);
  return (
    <>
      {Array.from({ length: lines }, (_, index) => (
        <span key={index} class={levels.get(index + 1) ?? ''}>
          {index + 1}
        </span>
      ))}
    </>
  );
}

interface SuggestionsProps {
  readonly id: string;
  readonly completion: Completion;
  readonly chosen: number;
  /** Below the line of the cursor, px from the top of the area. */
  readonly top: number;
  readonly column: number;
  readonly scrolled: number;
  readonly onPick: (suggestion: Suggestion) => void;
}

function Suggestions({ id, completion, chosen, top, column, scrolled, onPick }: SuggestionsProps) {
  const list = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    const { current } = list;
    // Not beyond the right edge, however long the line is.
    current?.style.setProperty('top', `${top}px`);
    current?.style.setProperty(
      'left',
      `min(calc(var(--gutter) + ${PADDING}px + ${column}ch - ${scrolled}px), 100% - 260px)`,
    );
    current?.querySelector('[aria-selected=true]')?.scrollIntoView({ block: 'nearest' });
  }, [top, column, scrolled, chosen]);
  return (
    <div class="suggestions mono" id={`${id}-list`} role="listbox" aria-label="Suggestions" ref={list}>
      {completion.suggestions.map((suggestion, index) => (
        <div
          key={`${index} ${suggestion.label}`}
          id={`${id}-${index}`}
          role="option"
          aria-selected={index === chosen}
          tabIndex={-1}
          onMouseDown={(event) => {
            // The area keeps the focus.
            event.preventDefault();
            onPick(suggestion);
          }}
        >
          <span>{brief(suggestion.label, 60)}</span>
          <span class="suggestion-about">{brief(suggestion.about, 90)}</span>
        </div>
      ))}
    </div>
  );
}
