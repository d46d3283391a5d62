// A run's question (`dify.ask_human`), asked at the terminal: field by field, then which button.

import type { DeferredToolCall, JsonObject, JsonValue } from '../client/types.ts';
import { onOneLine, printable } from './render.ts';

/** Asks for one line; null: the input is over. */
export type Ask = (prompt: string) => Promise<string | null>;

interface Field {
  readonly name: string;
  readonly label: string;
  readonly type: string;
  readonly required: boolean;
  readonly fallback: string | null;
  readonly options: readonly Choice[];
}

interface Choice {
  readonly id: string;
  readonly label: string;
}

/** The question as text. */
export function describeQuestion({ args }: DeferredToolCall): string {
  const { title, question, markdown } = objectOf(args);
  const parts = [title, question, markdown].filter((part) => typeof part === 'string' && part !== '');
  return `\n${parts.map((part) => `${printable(String(part))}\n`).join('\n')}\n`;
}

/** Whether all that is asked for can be typed. Files cannot, nor can a choice from nothing. */
export function canBeTyped({ args }: DeferredToolCall): boolean {
  return fieldsOf(args).every(({ type, options }) => type === 'paragraph' || (type === 'select' && options.length > 0));
}

/** The result to go on with (spec 07 §3.2), or null when the input ended before it was complete. */
export async function answerQuestion(call: DeferredToolCall, ask: Ask): Promise<JsonObject | null> {
  const values = new Map<string, string>();
  const fields = fieldsOf(call.args);
  for (const field of fields) {
    const value = await askField(field, ask);
    if (value === null) return null;
    if (value !== '') values.set(field.name, value);
  }
  const actions = actionsOf(call.args);
  const [only] = actions;
  // Nobody has said anything yet: a single button is not pressed by itself.
  const chosen = actions.length > 1 || fields.length === 0;
  const action = chosen ? await choose('', actions, actions.length === 1 ? (only ?? null) : null, ask) : only;
  if (action === null || action === undefined) return null;
  return {
    status: 'submitted',
    action: { id: action.id, label: action.label },
    values: Object.fromEntries(values),
    rendered_content: renderedOf(call),
  };
}

async function askField(field: Field, ask: Ask): Promise<string | null> {
  if (field.type === 'select') {
    const fallback = field.options.find(({ id }) => id === field.fallback);
    const none = fallback ?? (field.required ? null : { id: '', label: '' });
    const preset = fallback === undefined ? '' : ` [${onOneLine(fallback.label)}]`;
    const chosen = await choose(`${onOneLine(field.label)}${preset}\n`, field.options, none, ask);
    return chosen === null ? null : chosen.id;
  }
  const fallback = field.fallback === null || field.fallback === '' ? '' : ` [${onOneLine(field.fallback)}]`;
  for (;;) {
    const line = await ask(`${onOneLine(field.label)}${fallback}: `);
    if (line === null) return null;
    const value = line.trim() === '' ? (field.fallback ?? '') : line;
    if (value !== '' || !field.required) return value;
  }
}

/** `none`: what an empty line means; null: it means nothing, and the question is asked again. */
async function choose(
  heading: string,
  choices: readonly Choice[],
  none: Choice | null,
  ask: Ask,
): Promise<Choice | null> {
  const menu = choices.map(({ label }, index) => `  ${index + 1}) ${onOneLine(label)}\n`).join('');
  for (;;) {
    const line = (await ask(`${heading}${menu}> `))?.trim();
    if (line === undefined) return null;
    if (line === '' && none !== null) return none;
    const choice = choices[Number(line) - 1] ?? choices.find(({ id, label }) => id === line || label === line);
    if (choice !== undefined) return choice;
  }
}

function fieldsOf(args: JsonValue): readonly Field[] {
  return listOf(objectOf(args).fields).map((field) => ({
    name: wordOf(field.name),
    label: wordOf(field.label ?? field.name),
    type: wordOf(field.type),
    required: field.required === true,
    fallback: typeof field.default === 'string' ? field.default : null,
    options: listOf(field.options).map(({ value, label }) => ({ id: wordOf(value), label: wordOf(label ?? value) })),
  }));
}

function actionsOf(args: JsonValue): readonly Choice[] {
  const actions = listOf(objectOf(args).actions).map(({ id, label }) => ({
    id: wordOf(id),
    label: wordOf(label ?? id),
  }));
  return actions.length === 0 ? [{ id: 'submit', label: 'Submit' }] : actions;
}

function renderedOf({ args }: DeferredToolCall): string {
  const { title, question } = objectOf(args);
  return [typeof title === 'string' ? `## ${title}` : '', typeof question === 'string' ? question : '']
    .filter((part) => part !== '')
    .join('\n\n');
}

function objectOf(value: JsonValue | undefined): JsonObject {
  return isObject(value) ? value : {};
}

function isObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A text, or another value as its JSON. */
function wordOf(value: JsonValue | undefined): string {
  return typeof value === 'string' ? value : (JSON.stringify(value) ?? '');
}

function listOf(value: JsonValue | undefined): readonly JsonObject[] {
  return Array.isArray(value) ? value.map(objectOf) : [];
}
