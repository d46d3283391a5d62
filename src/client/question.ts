// A question that a run ended with (`dify.ask_human`) as a form, and what was filled in as the result that the next run takes
// (spec 07 §3.2). How it is asked, on a page or at a terminal, is its users' affair. The arguments come from a model: every
// member is looked at before it is used.

import type { JsonObject, JsonValue } from './json.ts';
import type { DeferredToolCall } from './types.ts';

export interface QuestionChoice {
  readonly value: string;
  readonly label: string;
}

export interface QuestionField {
  readonly name: string;
  readonly label: string;
  /** `unsupported`: `file`, `file-list`, a choice from nothing, and what is not known: a form of texts has no place for it. */
  readonly kind: 'paragraph' | 'select' | 'unsupported';
  /** As it was given. */
  readonly type: string;
  readonly required: boolean;
  /** Empty: none. */
  readonly initial: string;
  /** Empty: none. */
  readonly placeholder: string;
  /** Of a `select`. */
  readonly options: readonly QuestionChoice[];
}

export interface QuestionAction {
  readonly id: string;
  readonly label: string;
  readonly style: 'primary' | 'destructive' | 'default';
}

/** Texts are empty where nothing is said. */
export interface QuestionForm {
  readonly title: string;
  readonly question: string;
  readonly markdown: string;
  readonly urgent: boolean;
  readonly fields: readonly QuestionField[];
  /** At least one. */
  readonly actions: readonly QuestionAction[];
}

/** A form holds this many fields, options and actions at most; a server allows fewer. */
const MAX_ITEMS = 64;

/** The form of a question; null: the call is no such question, and its result is for its caller to make. */
export function formOf({ args }: DeferredToolCall): QuestionForm | null {
  if (!isObject(args) || typeof args.question !== 'string') return null;
  const actions = listOf(args.actions).map(({ id, label, style }): QuestionAction => {
    const known = style === 'primary' || style === 'destructive' ? style : 'default';
    return { id: textOr(id, ''), label: textOr(label, textOr(id, '')), style: known };
  });
  return {
    title: textOr(args.title, ''),
    question: args.question,
    markdown: textOr(args.markdown, ''),
    urgent: args.urgency === 'high',
    fields: listOf(args.fields).map(fieldOf),
    actions: actions.length > 0 ? actions : [{ id: 'submit', label: 'Submit', style: 'primary' }],
  };
}

function fieldOf(field: JsonObject): QuestionField {
  const name = textOr(field.name, '');
  const type = textOr(field.type, '');
  const options = listOf(field.options).map(({ value, label }) => {
    const text = typeof value === 'string' ? value : (JSON.stringify(value) ?? '');
    return { value: text, label: textOr(label, text) };
  });
  const kind = type === 'select' && options.length > 0 ? 'select' : type === 'paragraph' ? 'paragraph' : 'unsupported';
  return {
    name,
    label: textOr(field.label, name),
    kind,
    type,
    required: field.required === true,
    initial: textOr(field.default, ''),
    placeholder: textOr(field.placeholder, ''),
    options,
  };
}

/** The result of the call: what a person filled in, by the names of fields, and which button was pressed. */
export function answerOf(
  form: QuestionForm,
  values: ReadonlyMap<string, string>,
  action: Pick<QuestionAction, 'id' | 'label'>,
): JsonObject {
  const given = form.fields.flatMap(({ name, kind }) => {
    const value = values.get(name) ?? '';
    return kind === 'unsupported' || value === '' ? [] : [[name, value] as const];
  });
  const rendered = [form.title === '' ? '' : `## ${form.title}`, form.question].filter((part) => part !== '');
  return {
    status: 'submitted',
    action: { id: action.id, label: action.label },
    values: Object.fromEntries(given),
    rendered_content: rendered.join('\n\n'),
  };
}

function listOf(value: JsonValue | undefined): readonly JsonObject[] {
  return Array.isArray(value) ? value.slice(0, MAX_ITEMS).filter(isObject) : [];
}

function textOr(value: JsonValue | undefined, fallback: string): string {
  return typeof value === 'string' ? value : fallback;
}

function isObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
