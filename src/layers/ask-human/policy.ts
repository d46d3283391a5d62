// What a layer's configuration allows in a question (spec 02 §10.3, in its order), and the action that is added when the
// model gave none.

import type { AskHumanPolicy } from './config.ts';
import type { Action, Field, Question } from './question.ts';

export type PolicyResult =
  | { readonly ok: true; readonly question: Question }
  /** What the model is told. */
  | { readonly ok: false; readonly text: string };

const SUBMIT: Action = { id: 'submit', label: 'Submit', style: 'primary' };

/** The question with at least one action, or the first text of what is not allowed. */
export function applyPolicy(policy: AskHumanPolicy, asked: Question): PolicyResult {
  if (asked.fields.length > policy.maxFields) {
    return refused(`ask_human fields must contain at most ${policy.maxFields} item(s)`);
  }
  const question = asked.actions.length > 0 ? asked : { ...asked, actions: [SUBMIT] };
  if (question.actions.length > policy.maxActions) {
    return refused(`ask_human actions must contain at most ${policy.maxActions} item(s)`);
  }
  if (isLonger(question.question, policy.maxQuestionChars)) {
    return refused(`ask_human question must be <= ${policy.maxQuestionChars} characters`);
  }
  if (question.markdown !== null && isLonger(question.markdown, policy.maxMarkdownChars)) {
    return refused(`ask_human markdown must be <= ${policy.maxMarkdownChars} characters`);
  }
  for (const field of question.fields) {
    const text = fieldFault(policy, field);
    if (text !== null) return refused(text);
  }
  for (const { label } of question.actions) {
    if (isLonger(label, policy.maxActionLabelChars)) {
      return refused(`ask_human action label '${label}' must be <= ${policy.maxActionLabelChars} characters`);
    }
  }
  return { ok: true, question };
}

function fieldFault(policy: AskHumanPolicy, { type, label }: Field): string | null {
  if (!policy.fieldTypes.includes(type)) return `ask_human field type '${type}' is not allowed by this layer config`;
  if (isLonger(label, policy.maxFieldLabelChars)) {
    return `ask_human field label '${label}' must be <= ${policy.maxFieldLabelChars} characters`;
  }
  const isFile = type === 'file' || type === 'file-list';
  return isFile && !policy.fileFields ? 'ask_human file fields are disabled by this layer config' : null;
}

function refused(text: string): PolicyResult {
  return { ok: false, text };
}

/** Lengths are code points, as Python counts. */
function isLonger(text: string, limit: number): boolean {
  if (text.length <= limit) return false;
  return text.length > limit * 2 || [...text].length > limit;
}
