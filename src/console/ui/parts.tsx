// Small things that every screen uses: foreign text, a status, a copy button, an empty place, tabs.

import { useSignal } from '@preact/signals';
import type { ComponentChildren } from 'preact';
import { useId } from 'preact/hooks';
import { visible } from '../visible.ts';

/** Foreign text: nothing in it is hidden, and it cannot turn its surroundings round. */
export function Text({ text, class: name = '' }: { readonly text: string; readonly class?: string }) {
  return <span class={`text ${name}`}>{visible(text)}</span>;
}

/** Characters of a long text that are shown at first. */
const SHOWN_CHARS = 40_000;

/** A long foreign text: its end while it grows, else its beginning; all of it on demand. */
export function LongText({ text, growing = false }: { readonly text: string; readonly growing?: boolean }) {
  const all = useSignal(false);
  const long = text.length > SHOWN_CHARS;
  const shown = !long || all.value ? text : growing ? text.slice(-SHOWN_CHARS) : text.slice(0, SHOWN_CHARS);
  return (
    <div class={`long-text text ${growing ? 'growing' : ''}`}>
      {long && growing && !all.value && <p class="muted">…</p>}
      {visible(shown)}
      {long && !all.value && (
        <button
          type="button"
          class="link"
          onClick={() => {
            all.value = true;
          }}
        >
          show all {text.length} characters
        </button>
      )}
    </div>
  );
}

interface FoldProps {
  readonly class: string;
  readonly summary: ComponentChildren;
  /** At first. */
  readonly open?: boolean;
  /** Built when it is opened. */
  readonly children: () => ComponentChildren;
}

/** Something that is folded: what is in it is built when it is looked at. */
export function Fold({ class: name, summary, open = false, children }: FoldProps) {
  const shown = useSignal(open);
  return (
    <details
      class={name}
      open={shown.value}
      onToggle={(event) => {
        shown.value = event.currentTarget.open;
      }}
    >
      <summary>{summary}</summary>
      {shown.value && children()}
    </details>
  );
}

const TONES: Readonly<Record<string, string>> = {
  running: 'live',
  succeeded: 'ok',
  failed: 'bad',
  cancelled: 'muted',
};

/** A run's status, or any other word of a state. */
export function Status({ status, tone }: { readonly status: string; readonly tone?: string }) {
  return (
    <span class={`status ${tone ?? TONES[status] ?? ''}`}>
      <span class="dot" aria-hidden="true" />
      {visible(status)}
    </span>
  );
}

/** Copies a text, where the browser lets a page do that. */
export function CopyButton({ text, label }: { readonly text: () => string; readonly label: string }) {
  const done = useSignal(false);
  if (navigator.clipboard === undefined) return null;
  const copy = async (): Promise<void> => {
    try {
      await navigator.clipboard.writeText(text());
      done.value = true;
      setTimeout(() => {
        done.value = false;
      }, 1500);
    } catch {
      // Not allowed: the text can still be selected.
    }
  };
  return (
    <button type="button" class="quiet copy" onClick={copy} aria-label={label} title={label}>
      <svg class="icon" viewBox="0 0 16 16" aria-hidden="true">
        {done.value ? <path d="m3.5 8.5 3 3 6-7" /> : <path d="M5.5 5.5h7v7h-7zM10.5 5.5v-2h-7v7h2" />}
      </svg>
      <span class="unseen" role="status">
        {done.value ? 'copied' : ''}
      </span>
    </button>
  );
}

/** A place without content. */
export function Empty({ title, children }: { readonly title: string; readonly children?: ComponentChildren }) {
  return (
    <div class="empty">
      <p class="empty-title">{title}</p>
      {children}
    </div>
  );
}

export interface Tab {
  readonly id: string;
  readonly name: string;
  /** Beside the name. */
  readonly note?: string;
}

interface TabsProps {
  readonly label: string;
  readonly tabs: readonly Tab[];
  readonly selected: string;
  readonly onSelect: (id: string) => void;
  readonly children: ComponentChildren;
}

/** Tabs over one panel; arrow keys move between them. */
export function Tabs({ label, tabs, selected, onSelect, children }: TabsProps) {
  const base = useId();
  const move = (event: KeyboardEvent): void => {
    const step = event.key === 'ArrowRight' ? 1 : event.key === 'ArrowLeft' ? -1 : 0;
    if (step === 0) return;
    event.preventDefault();
    const index = tabs.findIndex(({ id }) => id === selected);
    const next = tabs[(index + step + tabs.length) % tabs.length];
    if (next === undefined) return;
    onSelect(next.id);
    document.getElementById(`${base}-${next.id}`)?.focus();
  };
  return (
    <>
      <div class="tabs" role="tablist" aria-label={label} onKeyDown={move}>
        {tabs.map(({ id, name, note }) => (
          <button
            key={id}
            id={`${base}-${id}`}
            type="button"
            role="tab"
            aria-selected={id === selected}
            aria-controls={`${base}-panel`}
            tabIndex={id === selected ? 0 : -1}
            onClick={() => onSelect(id)}
          >
            {name}
            {/* The blank is for who hears it. */}
            {note !== undefined && <span class="count"> {note}</span>}
          </button>
        ))}
      </div>
      <div class="tab-panel" id={`${base}-panel`} role="tabpanel" aria-labelledby={`${base}-${selected}`}>
        {children}
      </div>
    </>
  );
}
