// Scopes as keys: one text for one scope and one owner, whatever characters their parts have.

import { AgentSessionError } from './errors.ts';
import type { Owner, Scope } from './types.ts';

/** The most characters of one part of a scope. */
export const MAX_SCOPE_PART = 1_024;

/**
 * A JSON list of the four parts: no two scopes have the same, and what a database could change on the way (control characters,
 * lone surrogates) is escaped. @throws AgentSessionError `agent_session_invalid_scope`
 */
export function scopeKey({ tenant, ownerKind, ownerId, slot }: Scope): string {
  return keyOf({ tenant, ownerKind, ownerId, slot });
}

/** As scopeKey, for an owner. */
export function ownerKey({ tenant, ownerKind, ownerId }: Owner): string {
  return keyOf({ tenant, ownerKind, ownerId });
}

/** The scope of a key of scopeKey. */
export function scopeOf(key: string): Scope {
  // scopeKey wrote it.
  const [tenant, ownerKind, ownerId, slot] = JSON.parse(key) as [string, string, string, string];
  return { tenant, ownerKind, ownerId, slot };
}

function keyOf(parts: Readonly<Record<string, string>>): string {
  for (const [name, part] of Object.entries(parts)) {
    const problem = problemOf(part);
    if (problem !== null) throw new AgentSessionError('agent_session_invalid_scope', `scope.${name} ${problem}`);
  }
  return JSON.stringify(Object.values(parts));
}

function problemOf(part: unknown): string | null {
  if (typeof part !== 'string') return 'must be a text';
  if (part === '') return 'must not be empty';
  return part.length > MAX_SCOPE_PART ? `must not have more than ${MAX_SCOPE_PART} characters` : null;
}
