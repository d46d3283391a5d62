// `dify-agent/sessions`: what users import. The stores that need a database are entries of their own.

export { AgentSessions } from './agent-sessions.ts';
export {
  decodeCleanup,
  decodeNote,
  decodeSession,
  encodeCleanup,
  encodeNote,
  encodeState,
  MAX_STORED_CHARS,
} from './codec.ts';
export * from './errors.ts';
export { type MemoryStoreOptions, memorySessionStore } from './memory.ts';
export type {
  AgentSessionsOptions,
  BuildRequest,
  ConflictPolicy,
  DrainOptions,
  DrainReport,
  EndOptions,
  EndReport,
  ResumeOptions,
  RunOptions,
  SessionClient,
  TurnContext,
  TurnOptions,
} from './options.ts';
export { MAX_SCOPE_PART, ownerKey, scopeKey, scopeOf } from './scope.ts';
export { CREDENTIAL_LAYERS } from './specs.ts';
export type {
  Backlog,
  ClaimOptions,
  RetryOptions,
  SaveOptions,
  SessionStore,
  StoredTurn,
  TurnOutcome,
} from './store.ts';
export type { TopologyPolicy } from './topology.ts';
export type * from './types.ts';
