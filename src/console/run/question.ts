// What a page needs beside the form of a question (client/question.ts): what is still missing in it, and the request that goes
// on with the answer.

import type { QuestionForm } from '../../client/question.ts';
import type { CreateRunRequest, DeferredToolCall, JsonValue, SessionSnapshot } from '../../client/types.ts';
import { isObject, parseExactly } from '../json.ts';

/** Labels of fields that must be filled in and are not. */
export function missingOf(form: QuestionForm, values: ReadonlyMap<string, string>): readonly string[] {
  return form.fields
    .filter(({ name, required, kind }) => required && kind !== 'unsupported' && (values.get(name) ?? '').trim() === '')
    .map(({ label }) => label);
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
