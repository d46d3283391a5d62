// The directory of a workspace on shellctl's side: made under a new id, removed with all that is in it.

import { CodedError } from '../base/errors.ts';
import type { CallOptions, ShellctlClient } from '../peers/shellctl/port.ts';
import { type Background, unlessAborted } from './background.ts';
import { type Completion, runToCompletion } from './complete.ts';
import {
  makeWorkspaceScript,
  newSessionId,
  removeWorkspaceScript,
  type SessionId,
  WORKSPACE_EXISTS,
  workspacePath,
} from './session.ts';

/** Ids that are tried, as the reference does. */
const ATTEMPTS = 256;
const MAKE_DEADLINE_MS = 30_000;
/** A large tree takes its time. */
const REMOVE_DEADLINE_MS = 60_000;
const MAX_BYTES = 16 * 1024;

/** Where new ids come from. */
export interface SessionIdSource {
  /** Seconds since 1970. */
  nowSeconds(): number;
  /** 0…255. */
  randomByte(): number;
}

/** Options of both operations. */
export interface DirectoryOptions {
  /** Learns of clean-ups that outlive the call. */
  readonly background?: Background;
}

/** Options of making. */
export interface CreationOptions extends DirectoryOptions {
  /** Removes what was made when the call had been aborted already. Must not reject. Default: removes it, or tries to. */
  readonly discard?: (id: SessionId) => Promise<void>;
}

/**
 * Makes a workspace under an id that is free. Rejects with CodedError `workspace_creation_failed` (spec 04 §2.4.3's texts), with
 * ShellctlError, or with the signal's reason at once; a directory that is made all the same is discarded in the background.
 */
export async function createWorkspace(
  client: ShellctlClient,
  ids: SessionIdSource,
  call: CallOptions,
  options: CreationOptions = {},
): Promise<SessionId> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const id = newSessionId(ids.nowSeconds(), ids.randomByte());
    const made = await make(client, id, call, options);
    if (made.complete && made.exitCode === 0) return id;
    if (!made.complete || made.exitCode !== WORKSPACE_EXISTS) {
      throw failure(`Failed to create shell workspace ${workspacePath(id)}: ${endText(made)}`);
    }
  }
  throw failure(`Failed to allocate a unique shell workspace session id after ${ATTEMPTS} attempts.`);
}

/** One directory. Seen through when the call is aborted, because only the exit code says whether it is ours to discard. */
async function make(
  client: ShellctlClient,
  id: SessionId,
  { signal, owner }: CallOptions,
  { background = () => {}, discard }: CreationOptions,
): Promise<Completion> {
  signal.throwIfAborted();
  const job = { script: makeWorkspaceScript(id), cwd: null, env: null };
  const limits = { deadlineMs: MAKE_DEADLINE_MS, maxBytes: MAX_BYTES, background };
  const unaborted = { signal: new AbortController().signal, owner };
  const late = async (made: Completion): Promise<void> => {
    if (made.exitCode !== 0) return;
    if (discard !== undefined) await discard(id);
    else await removeWorkspace(client, id, unaborted).catch(() => {});
  };
  return await unlessAborted(runToCompletion(client, job, limits, unaborted), signal, late, background);
}

/**
 * Removes a workspace; one that is gone is removed. Rejects with CodedError `workspace_removal_failed`, with ShellctlError, or with
 * the signal's reason.
 */
export async function removeWorkspace(
  client: ShellctlClient,
  id: SessionId,
  call: CallOptions,
  options: DirectoryOptions = {},
): Promise<void> {
  const job = { script: removeWorkspaceScript(id), cwd: null, env: null };
  const removed = await runToCompletion(
    client,
    job,
    { ...options, deadlineMs: REMOVE_DEADLINE_MS, maxBytes: MAX_BYTES },
    call,
  );
  if (removed.exitCode === 0 && removed.incompleteReason !== 'timeout') return;
  throw new CodedError(
    'workspace_removal_failed',
    `Failed to remove shell workspace ${workspacePath(id)}: ${endText(removed)}`,
  );
}

/** `exited exit_code=1`, as the reference words how a job of ours ended; a job that was cut short says so. */
export function endText({ status, exitCode, incompleteReason }: Omit<Completion, 'output'>): string {
  const end = `${status} exit_code=${exitCode ?? 'None'}`;
  return incompleteReason === null ? end : `${end} (${incompleteReason})`;
}

function failure(message: string): CodedError {
  return new CodedError('workspace_creation_failed', message);
}
