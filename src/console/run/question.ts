// A question that a run ended with (`dify.ask_human`) as a form, and what was filled in as the result that the next run takes
// (spec 07 §3.2). The arguments come from a model: every member is looked at before it is used.

import type { CreateRunRequest, DeferredToolCall, JsonObject, JsonValue, SessionSnapshot } from '../../client/types.ts';
import { isObject, parseExactly, textOr } from '../json.ts';

export interface Choice {
  readonly value: string;
  readonly label: string;
}

export interface Field {
  readonly name: string;
  readonly label: string;
  /** `file` and `file-list` cannot be given here: a page has nowhere to put files. */
  readonly kind: 'paragraph' | 'select' | 'unsupported';
  readonly type: string;
  readonly required: boolean;
  readonly initial: string;
  readonly placeholder: string;
  readonly options: readonly Choice[];
}

export interface Action {
  readonly id: string;
  readonly label: string;
  readonly style: 'primary' | 'destructive' | 'default';
}

export interface QuestionForm {
  readonly title: string;
  readonly question: string;
  readonly markdown: string;
  readonly urgent: boolean;
  readonly fields: readonly Field[];
  readonly actions: readonly Action[];
}

/** A form holds this many fields and actions at most; a server allows fewer. */
const MAX_ITEMS = 64;

/** The form of a question; null: the call is no such question, and is answered with JSON. */
export function formOf({ args }: DeferredToolCall): QuestionForm | null {
  if (!isObject(args) || typeof args.question !== 'string') return null;
  const actions = listOf(args.actions).map(({ id, label, style }): Action => {
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

function fieldOf(field: JsonObject): Field {
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

function listOf(value: JsonValue | undefined): readonly JsonObject[] {
  return Array.isArray(value) ? value.slice(0, MAX_ITEMS).filter(isObject) : [];
}

/** Labels of fields that must be filled in and are not. */
export function missingOf(form: QuestionForm, values: ReadonlyMap<string, string>): readonly string[] {
  return form.fields
    .filter(({ name, required, kind }) => required && kind !== 'unsupported' && (values.get(name) ?? '').trim() === '')
    .map(({ label }) => label);
}

/** The result of the call: what a person filled in and which button was pressed. */
export function answerOf(form: QuestionForm, values: ReadonlyMap<string, string>, action: Action): JsonObject {
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

/** The request that goes on where the run asked: its composition and its exits, its snapshot, and the answer. */
export function resumingRequest(
  request: CreateRunRequest,
  question: DeferredToolCall,
  snapshot: SessionSnapshot | null,
  answer: JsonValue,
): CreateRunRequest {
  // The key named the run that is over.
  const { idempotency_key: _, ...rest } = request;
  return {
    ...rest,
    session_snapshot: snapshot,
    deferred_tool_results: { calls: { [question.tool_call_id]: answer } },
  };
}

/** A request from pasted JSON: a whole request, or only its composition. @throws Error that says what is wrong */
export function requestFrom(text: string): CreateRunRequest {
  let value: JsonValue;
  try {
    value = parseExactly(text) as JsonValue; // JSON yields JSON
  } catch (error) {
    throw new Error(`This is not JSON: ${error instanceof Error ? error.message : error}`);
  }
  const composition = isObject(value) && isObject(value.composition) ? value.composition : value;
  if (!isObject(composition) || !Array.isArray(composition.layers)) {
    throw new Error('A composition is an object with a list "layers".');
  }
  const request = composition === value ? { composition } : value;
  return request as unknown as CreateRunRequest; // what else is wrong with it, the server says
}
