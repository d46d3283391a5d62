// A run's question (`dify.ask_human`), asked at the terminal: field by field, then which button. What its arguments mean is
// read in client/question.ts, for the console as well.

import { answerOf, formOf, type QuestionChoice, type QuestionField, type QuestionForm } from '../client/question.ts';
import type { DeferredToolCall, JsonObject } from '../client/types.ts';
import { onOneLine, printable } from './render.ts';

/** Asks for one line; null: the input is over. */
export type Ask = (prompt: string) => Promise<string | null>;

/** The question as text; what is none, as its arguments. */
export function describeQuestion(call: DeferredToolCall): string {
  const form = formOf(call);
  if (form === null) return `\n${printable(JSON.stringify(call.args))}\n`;
  const parts = [form.title, form.question, form.markdown].filter((part) => part !== '');
  return `\n${parts.map((part) => `${printable(part)}\n`).join('\n')}\n`;
}

/** Whether all that is asked for can be typed. Files cannot, nor can a choice from nothing. */
export function canBeTyped(form: QuestionForm): boolean {
  return form.fields.every(({ kind }) => kind !== 'unsupported');
}

/** The result to go on with (spec 07 §3.2), or null when the input ended before it was complete. */
export async function answerQuestion(form: QuestionForm, ask: Ask): Promise<JsonObject | null> {
  const { fields, actions } = form;
  const values = new Map<string, string>();
  for (const field of fields) {
    const value = await askField(field, ask);
    if (value === null) return null;
    values.set(field.name, value);
  }
  const choices = actions.map(({ id, label }) => ({ value: id, label }));
  const [only] = choices;
  // Nobody has said anything yet: a single button is not pressed by itself.
  const chosen = choices.length > 1 || fields.length === 0;
  const action = chosen ? await choose('', choices, choices.length === 1 ? (only ?? null) : null, ask) : only;
  return action == null ? null : answerOf(form, values, { id: action.value, label: action.label });
}

async function askField({ kind, label, initial, options, required }: QuestionField, ask: Ask): Promise<string | null> {
  if (kind === 'select') {
    const fallback = options.find(({ value }) => value === initial);
    const none = fallback ?? (required ? null : { value: '', label: '' });
    const preset = fallback === undefined ? '' : ` [${onOneLine(fallback.label)}]`;
    const chosen = await choose(`${onOneLine(label)}${preset}\n`, options, none, ask);
    return chosen === null ? null : chosen.value;
  }
  const fallback = initial === '' ? '' : ` [${onOneLine(initial)}]`;
  for (;;) {
    const line = await ask(`${onOneLine(label)}${fallback}: `);
    if (line === null) return null;
    const value = line.trim() === '' ? initial : line;
    if (value !== '' || !required) return value;
  }
}

/** `none`: what an empty line means; null: it means nothing, and the question is asked again. */
async function choose(
  heading: string,
  choices: readonly QuestionChoice[],
  none: QuestionChoice | null,
  ask: Ask,
): Promise<QuestionChoice | null> {
  const menu = choices.map(({ label }, index) => `  ${index + 1}) ${onOneLine(label)}\n`).join('');
  for (;;) {
    const line = (await ask(`${heading}${menu}> `))?.trim();
    if (line === undefined) return null;
    if (line === '' && none !== null) return none;
    const choice = choices[Number(line) - 1] ?? choices.find(({ value, label }) => value === line || label === line);
    if (choice !== undefined) return choice;
  }
}
