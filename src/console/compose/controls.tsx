// The controls of single values: text, secret, number, choice, free JSON. Each reads a node and hands back another; what a
// value may be is the schema's, what is wrong with it is shown by field.tsx.

import { useSignal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { visible } from '../visible.ts';
import { type Node, number, print, text, word } from './document.ts';
import { placeOf, readJson } from './reader.ts';

export interface ControlProps {
  readonly id: string;
  /** Undefined: nothing is there yet. */
  readonly node: Node | undefined;
  readonly onChange: (node: Node) => void;
  /** Ids of what describes the control. */
  readonly described: string | undefined;
  readonly invalid: boolean;
}

const aria = ({ described, invalid }: ControlProps) => ({
  ...(described === undefined ? {} : { 'aria-describedby': described }),
  ...(invalid ? { 'aria-invalid': true } : {}),
});

/** A text of any number of lines; the area grows with it. */
export function TextControl(props: ControlProps) {
  const { id, node, onChange } = props;
  const value = node?.kind === 'text' ? node.value : '';
  return (
    <textarea
      id={id}
      class="grows"
      rows={1}
      spellcheck={false}
      placeholder={node?.kind === 'word' ? 'null' : ''}
      value={value}
      onInput={(event) => onChange(text(event.currentTarget.value))}
      {...aria(props)}
    />
  );
}

interface SecretProps extends ControlProps {
  /** What was typed; it is not in the document. */
  readonly value: string;
}

/** A credential. A key of several lines, as some services have, keeps its lines. */
export function SecretControl(props: SecretProps) {
  const { id, value, onChange } = props;
  const common = { id, autocomplete: 'off', spellcheck: false, value, ...aria(props) } as const;
  if (value.includes('\n')) {
    return (
      <textarea
        {...common}
        class="grows masked"
        rows={2}
        onInput={(event) => onChange(text(event.currentTarget.value))}
      />
    );
  }
  return (
    <input
      {...common}
      type="password"
      placeholder="stays in the memory of this page"
      onInput={(event) => onChange(text(event.currentTarget.value))}
      onPaste={(event) => {
        const pasted = event.clipboardData?.getData('text/plain') ?? '';
        if (!pasted.trim().includes('\n')) return;
        event.preventDefault();
        onChange(text(pasted));
      }}
    />
  );
}

/** A number as it is written. What is none stays as a text, and is said to be wrong. */
export function NumberControl(props: ControlProps) {
  const { id, node, onChange } = props;
  const value = node?.kind === 'number' ? node.text : node?.kind === 'text' ? node.value : '';
  return (
    <input
      id={id}
      type="text"
      inputMode="decimal"
      autocomplete="off"
      placeholder={node?.kind === 'word' ? 'null' : ''}
      value={value}
      onInput={(event) => {
        const typed = event.currentTarget.value.trim();
        const isNumber = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/.test(typed);
        onChange(isNumber ? number(typed) : text(typed));
      }}
      {...aria(props)}
    />
  );
}

interface ChoiceProps extends ControlProps {
  readonly choices: readonly (string | number | boolean)[];
  readonly nullable: boolean;
}

/** One of a few values. A value that is none of them is listed, too, so that looking changes nothing. */
export function ChoiceControl(props: ChoiceProps) {
  const { id, node, choices, nullable, onChange } = props;
  const options: Node[] = choices.map((choice) =>
    typeof choice === 'string' ? text(choice) : typeof choice === 'number' ? number(String(choice)) : word(choice),
  );
  if (nullable) options.push(word(null));
  const present = node === undefined ? -1 : options.findIndex((option) => print(option) === print(node));
  return (
    <select
      id={id}
      value={String(present)}
      onChange={(event) => {
        const chosen = options[Number(event.currentTarget.value)];
        if (chosen !== undefined) onChange(chosen);
      }}
      {...aria(props)}
    >
      {present < 0 && <option value="-1">{node === undefined ? '–' : visible(print(node).slice(0, 80))}</option>}
      {options.map((option, index) => (
        <option key={print(option)} value={String(index)}>
          {option.kind === 'text' ? visible(option.value) : print(option)}
        </option>
      ))}
    </select>
  );
}

/** Any JSON. What is typed goes into the document whenever it is JSON. */
export function JsonControl(props: ControlProps) {
  const { id, node, onChange } = props;
  const printed = node === undefined ? '' : print(node);
  const typed = useSignal(printed);
  const handed = useRef(printed);
  useEffect(() => {
    if (printed !== handed.current) typed.value = printed;
    handed.current = printed;
  }, [printed]);
  const { fault } = readJson(typed.value);
  const place = fault === null ? null : placeOf(typed.value, fault.offset);
  return (
    <>
      <textarea
        id={id}
        class="grows mono"
        rows={1}
        spellcheck={false}
        value={typed.value}
        onInput={(event) => {
          typed.value = event.currentTarget.value;
          const { root } = readJson(typed.value);
          if (root === null) return;
          handed.current = print(root);
          onChange(root);
        }}
        {...aria(props)}
      />
      {fault !== null && place !== null && (
        <p class="fault issue">
          Not JSON yet, line {place.line}, column {place.column}: {visible(fault.message)}
        </p>
      )}
    </>
  );
}
