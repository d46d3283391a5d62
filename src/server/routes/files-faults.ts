// What the file routes refuse, and in which words (spec 04 §3.1, §3.2): paths before they are looked at, and faults of looking.

import { CodedError } from '../../base/errors.ts';
import { ShellctlError } from '../../peers/shellctl/port.ts';
import { pyStrip } from '../../wiretext/strip.ts';
import { type FileFault, WorkspaceFileError } from '../../workspaces/files.ts';
import { isSessionId, type SessionId } from '../../workspaces/session.ts';
import { HttpError, InvalidInputError } from '../errors.ts';
import { detailBody, jsonResponse } from '../responses.ts';

export function sessionIdOf(text: string): SessionId {
  if (isSessionId(text)) return text;
  throw fault(400, 'invalid_session_id', "session_id must match the 5+2 lowercase hex format '<5 hex><2 hex>'.");
}

/** Spec 04 §3.1: without surrounding spaces, `.` for nothing. */
export function inspectedPath(text: string): string {
  const path = text.replaceAll(/^ +| +$/g, '');
  if (/^[/~]/.test(path)) throw fault(400, 'invalid_path', 'path must be relative to the workspace');
  if (hasControls(path)) throw fault(400, 'invalid_path', 'path contains control characters');
  if (path.split('/').includes('..')) throw fault(400, 'invalid_path', 'path must not traverse outside the workspace');
  return path === '' ? '.' : path;
}

/** Spec 04 §3.2. Whether it leads outside is found out there, by real paths. */
export function sandboxPath(text: string, blankIsRoot: boolean): string {
  const path = pyStrip(text);
  if (path === '' && !blankIsRoot) throw fault(400, 'invalid_sandbox_path', 'path must not be blank');
  if (/^[/~]/.test(path)) throw fault(400, 'invalid_sandbox_path', 'path must be relative to the sandbox workspace');
  if (hasControls(path)) throw fault(400, 'invalid_sandbox_path', 'path contains unsupported control characters');
  return path === '' ? '.' : path;
}

function hasControls(path: string): boolean {
  return /\p{Cc}/u.test(path);
}

type Wording = Partial<Record<FileFault, readonly [status: number, code: string, message: string]>>;

const INSPECTOR_WORDING: Wording = {
  not_found: [404, 'not_found', 'path not found in workspace'],
  escape: [400, 'path_escape', 'path escapes the workspace'],
  not_a_directory: [400, 'not_a_directory', 'path is not a directory'],
  is_a_directory: [400, 'is_a_directory', 'path is a directory'],
  not_readable: [400, 'not_readable', 'path is not a readable file'],
  workspace_not_found: [404, 'workspace_not_found', 'workspace does not exist'],
};

const SANDBOX_WORDING: Wording = {
  not_found: [404, 'sandbox_path_not_found', 'path not found in sandbox'],
  escape: [400, 'invalid_sandbox_path', 'path escapes the sandbox workspace'],
  not_a_directory: [400, 'sandbox_path_not_readable', 'path is not a directory'],
  is_a_directory: [400, 'sandbox_path_not_readable', 'path is not a readable file'],
  not_readable: [400, 'sandbox_path_not_readable', 'path is not a readable file'],
};

export function inspectorFault(error: unknown): unknown {
  if (error instanceof ShellctlError) return fault(502, 'shellctl_error', error.message);
  if (!(error instanceof WorkspaceFileError)) return error;
  const wording = INSPECTOR_WORDING[error.fault];
  return wording === undefined ? fault(502, 'reader_failed', error.message) : fault(...wording);
}

export function sandboxFault(error: unknown): unknown {
  if (error instanceof WorkspaceFileError) {
    const wording = SANDBOX_WORDING[error.fault];
    if (wording !== undefined) return fault(...wording);
    return fault(
      502,
      error.fault === 'upload_failed' ? 'agent_stub_upload_failed' : 'sandbox_command_failed',
      error.message,
    );
  }
  // Of shellctl, or of the environment for the Agent Stub; what the request's own reading threw has its own answer.
  const ours = error instanceof HttpError || error instanceof InvalidInputError;
  return error instanceof CodedError && !ours ? fault(502, 'sandbox_command_failed', error.message) : error;
}

/** An answer of these routes: `{"detail":{"code":…,"message":…}}`. */
class FileRouteFault extends CodedError {
  readonly status: number;

  constructor(status: number, code: string, message: string) {
    super(code, message.toWellFormed());
    this.status = status;
  }
}

export function fault(status: number, code: string, message: string): FileRouteFault {
  return new FileRouteFault(status, code, message);
}

/** Nobody reads this answer: its caller has gone. The status is nginx's, for the log. */
const CLIENT_CLOSED = 499;

/** Answers with what `work` resolves with, or with the fault that `worded` makes of what it throws. */
export async function answering(
  request: Request,
  work: () => Promise<Response>,
  worded: (error: unknown) => unknown,
): Promise<Response> {
  try {
    return await work();
  } catch (error) {
    const told = error instanceof FileRouteFault ? error : worded(error);
    if (told instanceof FileRouteFault) {
      const { status, code, message } = told;
      return jsonResponse(status, JSON.stringify({ detail: { code, message } }));
    }
    if (request.signal.aborted) return jsonResponse(CLIENT_CLOSED, detailBody('client closed the request'));
    throw told;
  }
}
