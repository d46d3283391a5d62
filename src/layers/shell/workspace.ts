// Making, remaking and removing the workspace of a session (spec 04 §2.4). The directory itself is workspaces/'s; here is what a
// configuration adds to it, and that nothing is left behind when that fails.

import { CodedError, errorText } from '../../base/errors.ts';
import type { Logger } from '../../observe/logger.ts';
import { type CallOptions, type ShellctlClient, ShellctlError } from '../../peers/shellctl/port.ts';
import type { Background } from '../../workspaces/background.ts';
import { runToCompletion } from '../../workspaces/complete.ts';
import { createWorkspace, endText, removeWorkspace, type SessionIdSource } from '../../workspaces/directory.ts';
import { removeJobs } from '../../workspaces/remove.ts';
import { makeWorkspaceScript, type SessionId, workspacePath } from '../../workspaces/session.ts';
import type { Environment } from './environment.ts';

/** For removing what a failed creation made. Milliseconds. */
const UNDO_LIMIT_MS = 30_000;
/** For making one directory. Milliseconds. */
const MAKE_LIMIT_MS = 30_000;
/** Output of scripts of ours that is read; nobody looks at it. */
const MAX_SCRIPT_OUTPUT = 16 * 1024 * 1024;

/** What the operations need. */
export interface WorkspaceDeps {
  readonly client: ShellctlClient;
  readonly ids: SessionIdSource;
  readonly background: Background;
  readonly logger: Logger;
  /** Seconds for all install commands together. */
  readonly bootstrapTimeoutSeconds: number;
}

/** What a configuration puts into a new workspace. */
export interface Furnishing {
  /** Shell commands, in order. */
  readonly install: readonly string[];
  readonly env: Environment;
}

/**
 * Makes a workspace and installs into it. When that fails or is aborted, the directory is removed: before it rejects, or behind the
 * caller's back when it was aborted. Rejects with CodedError (spec 04 §2.4's texts), ShellctlError, or the signal's reason.
 */
export async function makeWorkspace(
  furnishing: Furnishing,
  deps: WorkspaceDeps,
  call: CallOptions,
): Promise<SessionId> {
  const id = await createWorkspace(deps.client, deps.ids, call, {
    background: deps.background,
    discard: (made) => undo(made, deps, call.owner),
  });
  const leftovers: Promise<void>[] = [];
  const collect: Background = (work) => {
    leftovers.push(work);
    deps.background(work);
  };
  try {
    await furnish(id, furnishing, { ...deps, background: collect }, call);
    return id;
  } catch (error) {
    // First what still runs in there, then the directory.
    const undone = Promise.allSettled(leftovers).then(() => undo(id, deps, call.owner));
    deps.background(undone);
    if (!call.signal.aborted) await undone;
    throw error;
  }
}

/**
 * Makes the directory of a session anew after it has vanished, and installs into it. False: there is something at its place.
 * Rejects like `makeWorkspace`; what was made stays.
 */
export async function remakeWorkspace(
  id: SessionId,
  furnishing: Furnishing,
  deps: WorkspaceDeps,
  call: CallOptions,
): Promise<boolean> {
  const made = await runToCompletion(
    deps.client,
    { script: makeWorkspaceScript(id), cwd: null, env: null },
    { deadlineMs: MAKE_LIMIT_MS, maxBytes: MAX_SCRIPT_OUTPUT, background: deps.background },
    call,
  );
  if (!made.complete || made.exitCode !== 0) return false;
  await furnish(id, furnishing, deps, call);
  return true;
}

async function furnish(
  id: SessionId,
  { install, env }: Furnishing,
  deps: WorkspaceDeps,
  call: CallOptions,
): Promise<void> {
  if (install.length === 0) return;
  const script = ['set -eu', ...install, ''].join('\n').toWellFormed();
  const installed = await runToCompletion(
    deps.client,
    { script, cwd: workspacePath(id), env: Object.keys(env).length === 0 ? null : env },
    {
      deadlineMs: deps.bootstrapTimeoutSeconds * 1000,
      maxBytes: MAX_SCRIPT_OUTPUT,
      background: deps.background,
    },
    call,
  );
  if (installed.complete && installed.exitCode === 0) return;
  throw new CodedError(
    'workspace_bootstrap_failed',
    `Failed to bootstrap shell workspace ${workspacePath(id)}: ${endText(installed)}`,
  );
}

async function undo(id: SessionId, { client, logger }: WorkspaceDeps, owner: unknown): Promise<void> {
  try {
    await removeWorkspace(client, id, { signal: AbortSignal.timeout(UNDO_LIMIT_MS), owner });
  } catch (error) {
    logger.warn('a workspace that was not finished could not be removed', { session_id: id, error: errorText(error) });
  }
}

/** What is left of a session. */
export interface SessionRest {
  /** Null: it has no workspace. */
  readonly id: SessionId | null;
  readonly jobIds: readonly string[];
  /** Some of them may still run. */
  readonly mayLive: boolean;
}

/**
 * Removes the workspace of a session, then its jobs, live ones too. What is gone is removed, and what cannot be is logged: a session
 * ends whatever shellctl says. Rejects with the signal's reason.
 */
export async function endSession(
  { id, jobIds, mayLive }: SessionRest,
  { client, logger, background }: WorkspaceDeps,
  call: CallOptions,
): Promise<void> {
  const removal = async (): Promise<unknown> => {
    if (id === null) return null;
    try {
      await removeWorkspace(client, id, call, { background });
      return null;
    } catch (error) {
      call.signal.throwIfAborted();
      return error;
    }
  };
  let failure = await removal();
  const left = await removeJobs(client, jobIds, call);
  const isAway = failure instanceof ShellctlError && failure.status === null;
  // A job that wrote until its end may have made the directory again, or kept it from being removed.
  if (mayLive && !isAway) failure = await removal();
  if (failure !== null) {
    logger.warn('a workspace could not be removed', { session_id: id, error: errorText(failure) });
  }
  if (left.length > 0) {
    const [{ error } = { error: null }] = left;
    logger.warn('shell jobs could not be deleted', { session_id: id, jobs: left.length, error: error?.message });
  }
}
