// A field of a form that is made from a schema: its name, a control that fits what is there, what is wrong with it. What does
// not fit its schema is shown as JSON, so that nothing is lost by looking at it.

import { useId } from 'preact/hooks';
import { bytes } from '../format.ts';
import { brief, visible } from '../visible.ts';
import { DictField, ListField, ObjectField } from './collections.tsx';
import {
  ChoiceControl,
  type ControlProps,
  JsonControl,
  NumberControl,
  SecretControl,
  TextControl,
} from './controls.tsx';
import { at, list, type Node, text } from './document.ts';
import { keyOf } from './draft.ts';
import type { FieldProps } from './field-props.ts';
import { allowsNull, choicesOf, isFree, type Schema, withoutNull } from './schema.ts';

/** What stands for a value: the kinds of fields. */
type Kind = 'secret' | 'choice' | 'number' | 'text' | 'texts' | 'list' | 'object' | 'dict' | 'json' | 'large';

/** Characters of a list or object beyond which there is no form for it: a snapshot, mostly. */
const LARGE = 40_000;

export function Field(props: FieldProps) {
  const { draft, path, name, full, required = false, headless = false, onRemove, tools } = props;
  const id = useId();
  const node = at(draft.root.value, path);
  const issues = draft.issuesAt.value.get(keyOf(path)) ?? [];
  const schema = memberFor(props.schema, node);
  const isSecret = draft.secrets.value.has(keyOf(path));
  const kind = isSecret ? 'secret' : isLarge(node) ? 'large' : kindOf(schema, node);
  const hint = props.schema.description;
  const isGroup = kind === 'list' || kind === 'object' || kind === 'dict';
  const notes = [...(hint === undefined ? [] : [`${id}-hint`]), ...(issues.length === 0 ? [] : [`${id}-issues`])];
  const described = notes.length === 0 ? undefined : notes.join(' ');
  const label = (
    <>
      <code>{visible(name)}</code>
      {required && <span class="muted"> required</span>}
    </>
  );
  const body = (
    <>
      {kind === 'list' && <ListField {...props} schema={schema} inner={Field} />}
      {kind === 'object' && <ObjectField {...props} schema={schema} inner={Field} />}
      {kind === 'dict' && <DictField {...props} schema={schema} inner={Field} />}
      {kind === 'large' && node !== undefined && (
        <p class="muted small">{bytes(node.end - node.start)}: too large for a form. It can be changed in the JSON.</p>
      )}
      {!isGroup && kind !== 'large' && (
        <Control
          {...props}
          schema={schema}
          kind={kind}
          nullable={allowsNull(props.schema)}
          id={id}
          described={described}
          invalid={issues.length > 0}
          node={node}
        />
      )}
    </>
  );
  const head = headless ? null : (
    <div class="field-head">
      <span class="field-title">
        {isGroup || kind === 'large' ? (
          <span class="field-name">{label}</span>
        ) : (
          <label class="field-name" htmlFor={id}>
            {label}
          </label>
        )}
        {hint !== undefined && (
          <span class="hint" id={`${id}-hint`}>
            {visible(hint)}
          </span>
        )}
      </span>
      <span class="field-tools">
        {kind === 'texts' && (
          <button
            type="button"
            class="quiet tiny words"
            aria-label={`Several texts for ${visible(full)}`}
            onClick={() => draft.edit(path, list([node ?? text(''), text('')]))}
          >
            several
          </button>
        )}
        {tools}
        {onRemove !== undefined && (
          <button
            type="button"
            class="quiet tiny"
            onClick={onRemove}
            aria-label={`Remove ${visible(full)}`}
            title="Remove"
          >
            <Cross />
          </button>
        )}
      </span>
    </div>
  );
  const faults = <Issues id={`${id}-issues`} messages={issues.map(({ message }) => message)} />;
  return (
    <div
      class={`form-field ${isGroup && !headless ? 'group' : ''} ${issues.length > 0 ? 'wrong' : ''}`}
      data-path={keyOf(path)}
      {...(isGroup ? { role: 'group', 'aria-label': visible(full) } : {})}
    >
      {head}
      {isGroup ? faults : null}
      {body}
      {isGroup ? null : faults}
    </div>
  );
}

export function Issues({ id, messages }: { readonly id?: string; readonly messages: readonly string[] }) {
  if (messages.length === 0) return null;
  return (
    <div id={id}>
      {messages.slice(0, 5).map((message) => (
        <p key={message} class="fault issue text">
          {brief(message, 400)}
        </p>
      ))}
    </div>
  );
}

interface AnyControlProps extends FieldProps, Omit<ControlProps, 'onChange'> {
  readonly kind: Kind;
  readonly nullable: boolean;
}

function Control({ kind, nullable, draft, path, schema, id, described, invalid, node }: AnyControlProps) {
  const onChange = (value: Node): void => draft.edit(path, value);
  const common = { id, described, invalid, node, onChange };
  switch (kind) {
    case 'secret':
      return (
        <SecretControl {...common} value={draft.secretAt(path)} onChange={(value) => draft.setSecret(path, value)} />
      );
    case 'choice':
      return <ChoiceControl {...common} choices={valuesOf(schema) ?? []} nullable={nullable} />;
    case 'number':
      return <NumberControl {...common} />;
    case 'text':
    case 'texts':
      return <TextControl {...common} />;
    default:
      return <JsonControl {...common} />;
  }
}

function isLarge(node: Node | undefined): boolean {
  return (node?.kind === 'list' || node?.kind === 'object') && node.end - node.start > LARGE;
}

/** The control for what is there; for what does not fit its schema, JSON. */
function kindOf(schema: Schema, node: Node | undefined): Kind {
  const bare = withoutNull(schema);
  const isNull = node?.kind === 'word' && node.value === null;
  const has = isNull ? undefined : node?.kind;
  if (valuesOf(schema) !== null) return has === 'list' || has === 'object' ? 'json' : 'choice';
  if (isFree(bare)) return 'json';
  if (isTexts(bare)) return has === undefined || has === 'text' ? 'texts' : has === 'list' ? 'list' : 'json';
  switch (bare.type) {
    case 'integer':
    case 'number':
      return has === undefined || has === 'number' || has === 'text' ? 'number' : 'json';
    case 'string':
      return has === undefined || has === 'text' ? 'text' : 'json';
    case 'array':
      return has === 'list' ? 'list' : 'json';
    case 'object':
      if (has !== 'object') return 'json';
      return Object.keys(bare.properties ?? {}).length > 0 ? 'object' : 'dict';
    default:
      return 'json';
  }
}

/** One text or a list of them. */
function isTexts({ anyOf }: Schema): boolean {
  return (
    anyOf?.length === 2 &&
    anyOf.some(({ type }) => type === 'string') &&
    anyOf.some(({ items }) => items?.type === 'string')
  );
}

/** Values to choose from, true and false among them; null: they are not few. */
function valuesOf(schema: Schema): readonly (string | number | boolean)[] | null {
  const bare = withoutNull(schema);
  if (bare.type === 'boolean') return [true, false];
  const parts = bare.anyOf?.map(valuesOf);
  if (parts === undefined) return choicesOf(bare);
  return parts.every((part) => part !== null) ? parts.flat() : null;
}

/** Of a union the member for what is there; the first one while nothing is. */
function memberFor(schema: Schema, node: Node | undefined): Schema {
  const bare = withoutNull(schema);
  const { anyOf, ...rest } = bare;
  if (anyOf === undefined || valuesOf(bare) !== null) return bare;
  if (isTexts(bare)) {
    const lists = anyOf.find(({ type }) => type === 'array');
    return node?.kind === 'list' && lists !== undefined ? { ...rest, ...lists } : bare;
  }
  const wanted: Readonly<Record<Node['kind'], readonly unknown[]>> = {
    text: ['string'],
    number: ['number', 'integer'],
    word: ['boolean'],
    list: ['array'],
    object: ['object'],
  };
  const usable = anyOf.filter(({ not }) => not === undefined);
  const member = usable.find(({ type }) => node !== undefined && wanted[node.kind].includes(type)) ?? usable[0];
  return member === undefined ? bare : { ...rest, ...member };
}

export function Cross() {
  return (
    <svg class="icon" viewBox="0 0 16 16" aria-hidden="true">
      <path d="m4.5 4.5 7 7M11.5 4.5l-7 7" />
    </svg>
  );
}
