// A look into a workspace (spec 04 §3): a fixed reader runs in it as a job, what is asked for travels in its environment, and
// containment is judged there by real paths. Which texts and statuses its callers give is theirs.

import { CodedError } from '../base/errors.ts';
import type { JsonObject, JsonValue } from '../base/json.ts';
import { type CallOptions, type ShellctlClient, ShellctlError } from '../peers/shellctl/port.ts';
import { parseJson } from '../wiretext/json.ts';
import type { Background } from './background.ts';
import { runToCompletion } from './complete.ts';
import reader from './reader.py' with { type: 'text' };
import { type SessionId, workspacePath } from './session.ts';

/** Entries of a listing. */
export const MAX_ENTRIES = 1_000;

/** What became of a look; the callers' words follow from the code. */
export type FileFault =
  | 'not_found'
  | 'escape'
  | 'not_a_directory'
  | 'is_a_directory'
  | 'not_readable'
  /** The workspace is gone. */
  | 'workspace_not_found'
  /** The job ended badly, took too long, or said nothing that can be read. */
  | 'command_failed'
  /** The upload's own failure. */
  | 'upload_failed';

export class WorkspaceFileError extends CodedError {
  readonly fault: FileFault;

  constructor(fault: FileFault, message: string, options?: ErrorOptions) {
    super(fault, message, options);
    this.fault = fault;
  }
}

export interface FileEntry {
  readonly name: string;
  readonly type: 'file' | 'dir' | 'symlink' | 'other';
  readonly size: number;
  /** Seconds since the epoch. */
  readonly mtime: number;
}

export interface Listing {
  readonly entries: readonly FileEntry[];
  readonly truncated: boolean;
}

export interface TextContent {
  /** Of the whole file. */
  readonly size: number;
  readonly truncated: boolean;
  readonly binary: boolean;
  /** Null when binary. */
  readonly text: string | null;
}

export interface ByteContent {
  readonly size: number;
  readonly truncated: boolean;
  readonly content_base64: string;
}

export interface UploadedFile {
  readonly transfer_method: string;
  readonly reference: string;
  readonly download_url?: string;
}

/** Looks into workspaces. Every method rejects with WorkspaceFileError, ShellctlError, or the signal's reason. */
export interface WorkspaceFiles {
  list(id: SessionId, path: string, look: Look): Promise<Listing>;
  /** At most `maxBytes` of the file, as text if it is UTF-8. */
  read(id: SessionId, path: string, maxBytes: number, look: Look): Promise<TextContent>;
  download(id: SessionId, path: string, maxBytes: number, look: Look): Promise<ByteContent>;
  /** Has the sandbox upload the file itself; `env` is what opens the Agent Stub to it. */
  upload(id: SessionId, path: string, env: Readonly<Record<string, string>>, look: Look): Promise<UploadedFile>;
}

/** Who looks, and for how long. */
export interface Look extends CallOptions {
  readonly timeoutMs: number;
}

const BEGIN = '<<<DIFY_FS_BEGIN>>>';
const END = '<<<DIFY_FS_END>>>';
/** Wide enough that no line of the reader is broken. */
const TERMINAL = { cols: 4096, rows: 200 };
/** What the answers of the largest download take, in base64 twice over, with room (16 MiB). */
const MAX_ANSWER_BYTES = 16 * 1024 * 1024;
/** The reader as a script of the shell; its text is fixed. */
const SCRIPT = `exec python3 - <<'DIFY_FS_READER'\n${reader}\nDIFY_FS_READER\n`;
/** Characters of a failed command's output that are told. */
const TOLD_CHARS = 200;

const FAULTS: ReadonlySet<unknown> = new Set<FileFault>([
  'not_found',
  'escape',
  'not_a_directory',
  'is_a_directory',
  'not_readable',
]);

export function createWorkspaceFiles(client: ShellctlClient, background: Background): WorkspaceFiles {
  async function look(
    operation: string,
    id: SessionId,
    path: string,
    limit: number,
    { timeoutMs, ...call }: Look,
    more: Readonly<Record<string, string>> = {},
  ): Promise<JsonObject> {
    const env = { ...more, DIFY_FS_OPERATION: operation, DIFY_FS_PATH: path, DIFY_FS_LIMIT: String(limit) };
    const job = { script: SCRIPT, cwd: workspacePath(id), env, terminal: TERMINAL };
    const limits = { deadlineMs: timeoutMs, maxBytes: MAX_ANSWER_BYTES, background };
    const done = await runToCompletion(client, job, limits, call).catch((error: unknown) => {
      if (error instanceof ShellctlError && error.code === 'invalid_cwd') {
        throw new WorkspaceFileError('workspace_not_found', error.message, { cause: error });
      }
      throw error;
    });
    if (!done.complete) throw failed(`sandbox command did not complete (${done.incompleteReason})`);
    if (done.exitCode !== 0) {
      const tail = done.output.trim().slice(-TOLD_CHARS);
      throw failed(`sandbox command exited with code ${done.exitCode ?? 'None'}: '${tail}'`);
    }
    const payload = readPayload(done.output);
    const { error } = payload;
    if (FAULTS.has(error)) throw new WorkspaceFileError(error as FileFault, String(error)); // one of FAULTS
    if (error !== undefined) throw failed(`sandbox command failed: ${String(payload.message ?? error)}`);
    return payload;
  }

  return {
    async list(id, path, options) {
      const { entries, truncated } = await look('list', id, path, MAX_ENTRIES, options);
      if (!Array.isArray(entries)) throw invalidPayload('entries');
      return { entries: entries.map(entryOf), truncated: truncated === true };
    },
    async read(id, path, maxBytes, options) {
      const { size, truncated, binary, text } = await look('read', id, path, maxBytes, options);
      if (typeof size !== 'number' || (text !== null && typeof text !== 'string')) throw invalidPayload('text');
      return { size, truncated: truncated === true, binary: binary === true, text };
    },
    async download(id, path, maxBytes, options) {
      const { size, truncated, content_base64: content } = await look('download', id, path, maxBytes, options);
      if (typeof size !== 'number' || typeof content !== 'string') throw invalidPayload('content_base64');
      return { size, truncated: truncated === true, content_base64: content };
    },
    async upload(id, path, env, options) {
      return uploadedOf(await look('upload', id, path, 0, options, env));
    },
  };
}

/** The object between the marks; what the terminal put around and between is left out. */
function readPayload(output: string): JsonObject {
  const begin = output.lastIndexOf(BEGIN);
  const end = output.indexOf(END, begin);
  if (begin === -1 || end === -1) throw failed('sandbox command returned no framed payload');
  const encoded = output.slice(begin + BEGIN.length, end).replaceAll(/\s+/g, '');
  const parsed = parseJson(Buffer.from(encoded, 'base64').toString('utf8'));
  if (!parsed.ok) throw failed('sandbox command returned invalid framed payload');
  if (!isObject(parsed.value)) throw failed('sandbox command returned a non-object payload');
  return parsed.value;
}

function isObject(value: JsonValue): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

const TYPES = ['file', 'dir', 'symlink', 'other'] as const;

function entryOf(value: JsonValue): FileEntry {
  const { name, type, size, mtime } = isObject(value) ? value : {};
  const known = TYPES.find((candidate) => candidate === type);
  if (typeof name !== 'string' || known === undefined || typeof size !== 'number' || typeof mtime !== 'number') {
    throw invalidPayload('entry');
  }
  // A file name need not be UTF-8.
  return { name: name.toWellFormed(), type: known, size, mtime };
}

/** What the command-line tool printed: a mapping, of which exactly three members are passed on (spec 04 §3.2). */
function uploadedOf({ exit_code: code, stdout, stderr }: JsonObject): UploadedFile {
  const [out, said] = [String(stdout ?? '').trim(), String(stderr ?? '').trim()];
  if (code !== 0)
    throw new WorkspaceFileError('upload_failed', said || out || `upload exited with code ${String(code)}`);
  const parsed = parseJson(out);
  const mapping = parsed.ok && isObject(parsed.value) ? parsed.value : {};
  const { transfer_method: method, reference, download_url: url } = mapping;
  if (typeof method !== 'string' || typeof reference !== 'string') {
    throw new WorkspaceFileError('upload_failed', `upload returned invalid JSON: ${out.slice(0, TOLD_CHARS)}`);
  }
  return { transfer_method: method, reference, ...(typeof url === 'string' ? { download_url: url } : {}) };
}

function failed(message: string): WorkspaceFileError {
  return new WorkspaceFileError('command_failed', message);
}

function invalidPayload(member: string): WorkspaceFileError {
  return failed(`sandbox command returned invalid payload: ${member}`);
}
