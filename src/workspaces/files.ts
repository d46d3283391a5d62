// A look into a workspace (spec 04 §3): a fixed reader runs in it as a job, what is asked for travels in its environment, and
// containment is judged there by real paths. Which texts and statuses its callers give is theirs.

import { CodedError } from '../base/errors.ts';
import { isJsonObject, type JsonObject, type JsonValue } from '../base/json.ts';
import { type CallOptions, type ShellctlClient, ShellctlError } from '../peers/shellctl/port.ts';
import type { Background } from './background.ts';
import { streamToCompletion } from './complete.ts';
import reader from './reader.py' with { type: 'text' };
import { type SessionId, workspacePath } from './session.ts';
import { createTextBudget } from './text-budget.ts';

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
  /** At most `maxBytes` (up to 8 MiB) of the file, as text if it is UTF-8. */
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
/** What the answer of the largest download takes in base64, with room (16 MiB). */
const MAX_ANSWER_BYTES = 16 * 1024 * 1024;
/** Of all answers that are being received (128 Mi): a dozen of the largest downloads, five hundred reads of the usual size. */
const MAX_HELD_CHARS = 128 * 1024 * 1024;
/** No path is longer (PATH_MAX), and a longer variable could not be given to a process. */
const MAX_PATH_BYTES = 4096;
/**
 * The reader as a script of the shell; its text is fixed. Python looks for modules in its own library only (`-I`), not in the
 * workspace, where a `json.py` may lie; and takes file names for UTF-8, whatever the locale.
 */
const SCRIPT = `exec python3 -I -S -X utf8 - <<'DIFY_FS_READER'\n${reader}\nDIFY_FS_READER\n`;
/** Characters of a failed command's output that are told. */
const TOLD_CHARS = 200;
/** Characters of what the uploading tool complained of. */
const TOLD_ERROR_CHARS = 2_000;

const FAULTS: ReadonlySet<unknown> = new Set<FileFault>([
  'not_found',
  'escape',
  'not_a_directory',
  'is_a_directory',
  'not_readable',
]);

/** Looks through one shellctl. `maxHeldChars`: of all answers that are being received, default MAX_HELD_CHARS. */
export function createWorkspaceFiles(
  client: ShellctlClient,
  background: Background,
  maxHeldChars = MAX_HELD_CHARS,
): WorkspaceFiles {
  const share = createTextBudget(maxHeldChars);

  /** The whole output of a look. */
  async function outputOf(env: Readonly<Record<string, string>>, id: SessionId, { timeoutMs, ...call }: Look) {
    const job = { script: SCRIPT, cwd: workspacePath(id), env, terminal: TERMINAL };
    const limits = { deadlineMs: timeoutMs, maxBytes: MAX_ANSWER_BYTES, background };
    const held = share();
    const pieces: string[] = [];
    const keep = (text: string): void => {
      if (!held.take(text.length)) throw failed('too many sandbox files are being read at once; try again later');
      pieces.push(text);
    };
    try {
      const done = await streamToCompletion(client, job, limits, keep, call);
      return { ...done, output: pieces.join('') };
    } catch (error) {
      if (!(error instanceof ShellctlError && error.code === 'invalid_cwd')) throw error;
      throw new WorkspaceFileError('workspace_not_found', error.message, { cause: error });
    } finally {
      held.release();
    }
  }

  async function look(
    operation: string,
    id: SessionId,
    path: string,
    limit: number,
    options: Look,
    more: Readonly<Record<string, string>> = {},
  ): Promise<Found> {
    options.signal.throwIfAborted();
    if (Buffer.byteLength(path) > MAX_PATH_BYTES) throw new WorkspaceFileError('not_found', 'not_found');
    // In base64: what servers write into files on the way differs in what it escapes.
    const encoded = Buffer.from(path).toString('base64');
    const env = { ...more, DIFY_FS_OPERATION: operation, DIFY_FS_PATH: encoded, DIFY_FS_LIMIT: String(limit) };
    const done = await outputOf(env, id, options);
    if (!done.complete) throw failed(`sandbox command did not complete (${done.incompleteReason})`);
    if (done.exitCode !== 0) {
      const tail = done.output.trim().slice(-TOLD_CHARS);
      throw failed(`sandbox command exited with code ${done.exitCode ?? 'None'}: '${tail}'`);
    }
    const found = readPayload(done.output);
    const { error, message } = found.payload;
    if (FAULTS.has(error)) throw new WorkspaceFileError(error as FileFault, String(error)); // one of FAULTS
    if (error !== undefined) throw failed(`sandbox command failed: ${String(message ?? error)}`);
    return found;
  }

  /** The beginning of a file, and how much there is of it. */
  async function bytesOf(id: SessionId, path: string, maxBytes: number, options: Look) {
    const { payload, data } = await look('read', id, path, maxBytes, options);
    const { size, truncated } = payload;
    if (typeof size !== 'number' || data.length > maxBytes) throw invalidPayload('size');
    return { size, truncated: truncated === true, data };
  }

  return {
    async list(id, path, options) {
      const { entries, truncated } = (await look('list', id, path, MAX_ENTRIES, options)).payload;
      if (!Array.isArray(entries)) throw invalidPayload('entries');
      return { entries: entries.map(entryOf), truncated: truncated === true };
    },
    async read(id, path, maxBytes, options) {
      const { size, truncated, data } = await bytesOf(id, path, maxBytes, options);
      const text = textOf(data, truncated);
      return { size, truncated, binary: text === null, text };
    },
    async download(id, path, maxBytes, options) {
      const { size, truncated, data } = await bytesOf(id, path, maxBytes, options);
      return { size, truncated, content_base64: data.toString('base64') };
    },
    async upload(id, path, env, options) {
      return uploadedOf((await look('upload', id, path, 0, options, env)).payload);
    },
  };
}

/** What the reader said. */
interface Found {
  readonly payload: JsonObject;
  /** Of a file. */
  readonly data: Buffer;
}

/** What is between the marks; what the terminal put around and between it is left out. */
function readPayload(output: string): Found {
  const begin = output.lastIndexOf(BEGIN);
  const end = output.indexOf(END, begin);
  if (begin === -1 || end === -1) throw failed('sandbox command returned no framed payload');
  const [encoded = '', data = ''] = output
    .slice(begin + BEGIN.length, end)
    .replaceAll(/\s+/g, '')
    .split('.');
  const payload = parse(Buffer.from(encoded, 'base64').toString('utf8'));
  if (payload === undefined) throw failed('sandbox command returned invalid framed payload');
  if (!isJsonObject(payload)) throw failed('sandbox command returned a non-object payload');
  return { payload, data: Buffer.from(data, 'base64') };
}

function parse(text: string): JsonValue | undefined {
  try {
    return JSON.parse(text) as JsonValue; // what it answers is one
  } catch {
    return undefined;
  }
}

/** The bytes as text; null: they are none. The last character of a truncated file may be cut in two: it is left out. */
function textOf(data: Buffer, truncated: boolean): string | null {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(data, { stream: truncated });
  } catch {
    return null;
  }
}

const TYPES = ['file', 'dir', 'symlink', 'other'] as const;

function entryOf(value: JsonValue): FileEntry {
  const { name, type, size, mtime } = isJsonObject(value) ? value : {};
  const known = TYPES.find((candidate) => candidate === type);
  if (typeof name !== 'string' || known === undefined || typeof size !== 'number' || typeof mtime !== 'number') {
    throw invalidPayload('entry');
  }
  return { name, type: known, size, mtime };
}

/** What the command-line tool printed: a mapping, of which exactly three members are passed on (spec 04 §3.2). */
function uploadedOf({ exit_code: code, stdout, stderr }: JsonObject): UploadedFile {
  const [out, said] = [String(stdout ?? '').trim(), String(stderr ?? '').trim()];
  if (code !== 0)
    throw new WorkspaceFileError(
      'upload_failed',
      (said || out).slice(-TOLD_ERROR_CHARS) || `upload exited with code ${String(code)}`,
    );
  const mapping = parse(out);
  const { transfer_method: method, reference, download_url: url } = isJsonObject(mapping) ? mapping : {};
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
