// From what a caller sent to a validated request, and from its token to the identity that the Dify API is told.

import type { Schema } from '../protocol/dialect.ts';
import { validate } from '../validation/walker.ts';
import type { StubCaller } from './caller.ts';
import { contextLacks, InvalidStubRequest } from './errors.ts';

/** The value of a request that fits its schema. Throws InvalidStubRequest. */
export function valid<T>(schema: Schema<T>, input: unknown, source: InvalidStubRequest['source'] = 'body'): T {
  const result = validate(schema, input, { mode: 'attributes' });
  if (result.ok) return result.value;
  throw new InvalidStubRequest(source, result.issues);
}

/** Members of a context that operations may need. */
type Member =
  | 'user_id'
  | 'user_from'
  | 'invoke_from'
  | 'agent_id'
  | 'agent_config_version_id'
  | 'agent_config_version_kind';

/** A member of the caller's context. Throws StubError 400 with the text when it is missing or empty. */
export function need(caller: StubCaller, member: Member, text: string): string {
  const value = caller.context[member];
  if (value === null || value === '') throw contextLacks(text);
  return value;
}
