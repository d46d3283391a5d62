// Fields that hold fields: objects with known keys, objects with any keys, lists.

import { useSignal } from '@preact/signals';
import { useId } from 'preact/hooks';
import { visible } from '../visible.ts';
import { at, itemsOf, list, type Member, membersOf, moved } from './document.ts';
import type { GroupProps } from './field-props.ts';
import { focusPath } from './focus.ts';
import { beginning } from './layers.ts';
import type { Schema } from './schema.ts';

/** Fields that are offered as buttons; more are folded. */
const FEW = 4;
/** Items that are built at once. */
const PAGE = 30;

/** An object with known keys: those that are there or must be, and buttons for the others. */
export function ObjectField({ draft, schema, path, full, inner: Field }: GroupProps) {
  const node = at(draft.root.value, path);
  const { properties = {}, required = [] } = schema;
  const present = membersOf(node).map(({ key }) => key);
  const shown = [
    ...new Set([...required, ...Object.keys(properties).filter((key) => present.includes(key)), ...present]),
  ];
  const absent = Object.keys(properties).filter((key) => !shown.includes(key));
  const isPlain = Object.keys(properties).length > 0 || present.length > 0;
  if (!isPlain) return <p class="muted small">Nothing to configure.</p>;
  return (
    <>
      {shown.map((key) => {
        const own = [...path, key];
        const isRequired = required.includes(key);
        const removable =
          isRequired && Object.hasOwn(properties, key)
            ? {}
            : { onRemove: () => draft.remove(own, `Removed “${key}”.`) };
        return (
          <Field
            key={key}
            draft={draft}
            schema={Object.hasOwn(properties, key) ? (properties[key] ?? {}) : {}}
            path={own}
            name={key}
            full={`${full}: ${key}`}
            required={isRequired}
            {...removable}
          />
        );
      })}
      <Adders
        keys={absent}
        full={full}
        onAdd={(key) => {
          draft.edit([...path, key], beginning(properties[key] ?? {}));
          focusPath([...path, key]);
        }}
      />
    </>
  );
}

interface AddersProps {
  readonly keys: readonly string[];
  readonly full: string;
  readonly onAdd: (key: string) => void;
}

function Adders({ keys, full, onAdd }: AddersProps) {
  if (keys.length === 0) return null;
  const buttons = keys.map((key) => (
    <button
      key={key}
      type="button"
      class="adder"
      aria-label={`Add ${key} to ${visible(full)}`}
      onClick={() => onAdd(key)}
    >
      + {key}
    </button>
  ));
  if (keys.length <= FEW) return <div class="adders">{buttons}</div>;
  return (
    <details class="more-fields">
      <summary>
        {keys.length} more fields<span class="unseen"> of {visible(full)}</span>
      </summary>
      <div class="adders">{buttons}</div>
    </details>
  );
}

/** An object with any keys. */
export function DictField({ draft, schema, path, full, inner: Field }: GroupProps) {
  const node = at(draft.root.value, path);
  const members = membersOf(node);
  const value: Schema = typeof schema.additionalProperties === 'object' ? schema.additionalProperties : {};
  const key = useSignal('');
  const id = useId();
  const isTaken = members.some((one) => one.key === key.value);
  const add = (): void => {
    const name = key.value;
    if (name === '' || isTaken) return;
    draft.edit([...path, name], beginning(value));
    key.value = '';
    focusPath([...path, name]);
  };
  return (
    <>
      {members.map((one: Member, index) => (
        <Field
          key={`${index} ${one.key}`}
          draft={draft}
          schema={value}
          path={[...path, one.key]}
          name={one.key}
          full={`${full}: ${one.key}`}
          onRemove={() => draft.remove([...path, one.key], `Removed “${one.key}”.`)}
        />
      ))}
      <div class="add-row">
        <label class="unseen" htmlFor={id}>
          New key of {visible(full)}
        </label>
        <input
          id={id}
          type="text"
          class="mono"
          placeholder="new key"
          autocomplete="off"
          spellcheck={false}
          value={key.value}
          onInput={(event) => {
            key.value = event.currentTarget.value;
          }}
          onKeyDown={(event) => {
            if (event.key !== 'Enter') return;
            event.preventDefault();
            add();
          }}
        />
        <button type="button" onClick={add} disabled={key.value === '' || isTaken}>
          Add<span class="unseen"> the key to {visible(full)}</span>
        </button>
      </div>
    </>
  );
}

/** A list: its items in order, each of which can be moved and removed. */
export function ListField({ draft, schema, path, full, inner: Field }: GroupProps) {
  const items = itemsOf(at(draft.root.value, path));
  const shown = useSignal(PAGE);
  const item = schema.items ?? {};
  const move = (from: number, to: number): void => {
    draft.edit(path, list(moved(items, from, to)));
    focusPath([...path, to], 'tools');
  };
  return (
    <>
      <ol class="items">
        {items.slice(0, shown.value).map((_, index) => (
          <li key={index}>
            <Field
              draft={draft}
              schema={item}
              path={[...path, index]}
              name={`${index + 1}`}
              full={`${full} ${index + 1}`}
              onRemove={() => draft.remove([...path, index], `Removed item ${index + 1}.`)}
              tools={<Movers index={index} count={items.length} what={`${full} ${index + 1}`} onMove={move} />}
            />
          </li>
        ))}
      </ol>
      {items.length > shown.value && (
        <button
          type="button"
          class="link"
          onClick={() => {
            shown.value += PAGE * 4;
          }}
        >
          {items.length - shown.value} more
        </button>
      )}
      <button
        type="button"
        class="adder"
        aria-label={`Add an item to ${visible(full)}`}
        onClick={() => {
          draft.edit([...path, items.length], beginning(item));
          focusPath([...path, items.length]);
        }}
      >
        + item
      </button>
    </>
  );
}

interface MoversProps {
  readonly index: number;
  readonly count: number;
  readonly what: string;
  readonly onMove: (from: number, to: number) => void;
}

/** Two buttons that move something in its list. */
export function Movers({ index, count, what, onMove }: MoversProps) {
  if (count < 2) return null;
  return (
    <>
      <button
        type="button"
        class="quiet tiny"
        aria-label={`Move ${visible(what)} up`}
        title="Up"
        disabled={index === 0}
        onClick={() => onMove(index, index - 1)}
      >
        <svg class="icon" viewBox="0 0 16 16" aria-hidden="true">
          <path d="M8 12.5v-9M4.5 7 8 3.5 11.5 7" />
        </svg>
      </button>
      <button
        type="button"
        class="quiet tiny"
        aria-label={`Move ${visible(what)} down`}
        title="Down"
        disabled={index === count - 1}
        onClick={() => onMove(index, index + 1)}
      >
        <svg class="icon" viewBox="0 0 16 16" aria-hidden="true">
          <path d="M8 3.5v9M4.5 9 8 12.5 11.5 9" />
        </svg>
      </button>
    </>
  );
}
