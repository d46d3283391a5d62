// Sessions as tests need them: scopes, states and clean-ups of any size.

import type { CleanupEntry, Scope, SessionState, TurnNote } from '../../src/sessions/index.ts';

let counter = 0;

/** A scope that no other test has. */
export function newScope(parts: Partial<Scope> = {}): Scope {
  counter += 1;
  return { tenant: 't-1', ownerKind: 'conversation', ownerId: `c-${process.pid}-${counter}`, slot: 'agent', ...parts };
}

export const SPECS = [
  { name: 'prompt', type: 'plain.prompt', deps: {}, metadata: {}, config: { prefix: 'Be terse.' } },
  { name: 'history', type: 'pydantic_ai.history', deps: {}, metadata: {}, config: null },
];

export const TOPOLOGY = [
  { name: 'prompt', type: 'plain.prompt' },
  { name: 'history', type: 'pydantic_ai.history' },
  { name: 'llm', type: 'test.scripted_llm' },
];

/** An active session whose history says `text`. */
export function active(text = 'hello', more: Partial<SessionState> = {}): SessionState {
  return {
    status: 'active',
    snapshot: {
      schema_version: 1,
      layers: [
        { name: 'prompt', lifecycle_state: 'suspended', runtime_state: {} },
        { name: 'history', lifecycle_state: 'suspended', runtime_state: { messages: [text] } },
        { name: 'llm', lifecycle_state: 'suspended', runtime_state: {} },
      ],
    },
    specs: SPECS,
    topology: TOPOLOGY,
    lastRunId: 'run-1',
    ...more,
  };
}

export const CLEANED_STATE: SessionState = {
  status: 'cleaned',
  snapshot: { schema_version: 1, layers: [] },
  specs: [],
  topology: [],
};

export function cleanup(id: string, scope: Scope, text = 'hello'): CleanupEntry {
  const { snapshot } = active(text);
  return { id, scope, reason: 'failed', specs: SPECS, snapshot, keep: [], previousRunId: 'run-1' };
}

export function note(runId: string, more: Partial<TurnNote> = {}): TurnNote {
  const fixed = { key: 'key-1', mode: 'run', attempt: 1, ifRev: null, fresh: false } as const;
  return { runId, ...fixed, specs: SPECS, topology: TOPOLOGY, ...more };
}

/** Everything that an iterable gives. */
export async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const item of items) found.push(item);
  return found;
}
