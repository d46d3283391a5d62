// The file routes in the OpenAPI document, and the bodies that they take (spec 04 §3).

import {
  any,
  bool,
  dict,
  int,
  list,
  literal,
  model,
  nullable,
  optional,
  required,
  str,
} from '../../protocol/dialect.ts';
import { runComposition, sessionSnapshot } from '../../protocol/runs.ts';
import { commonAnswers, describe, type Parameter, type ResponseDescription } from '../openapi/operation.ts';

/** What `max_bytes` may be: the answer travels through a terminal, encoded twice (4 MiB). */
const MAX_READ_BYTES = 4 * 1024 * 1024;
const DEFAULT_READ_BYTES = 262_144;

const locator = model('SandboxLocator', {
  composition: required(runComposition),
  session_snapshot: required(sessionSnapshot),
});

export const listRequest = model('SandboxListRequest', { locator: required(locator), path: optional(str(), '.') });
export const readRequest = model('SandboxReadRequest', {
  locator: required(locator),
  path: required(str()),
  max_bytes: optional(int({ ge: 1, le: MAX_READ_BYTES }), DEFAULT_READ_BYTES),
});
export const uploadRequest = model('SandboxUploadRequest', { locator: required(locator), path: required(str()) });

/** The six operations, by the reference's function names where it has them. */
export function fileOperations() {
  const { error, invalid } = commonAnswers();
  const faultSchema = model('FileFault', {
    detail: required(model('FileFaultDetail', { code: required(str()), message: required(str()) })),
  });
  const fault = (description: string): ResponseDescription => ({ description, schema: faultSchema });
  const faults = {
    400: fault('The path or the workspace is not what is asked for'),
    404: fault('There is no such path or workspace'),
    422: invalid,
    502: fault('shellctl or the command in the sandbox failed'),
  };
  const entry = (name: string, ...types: [string, string, ...string[]]) =>
    model(name, {
      name: required(str()),
      type: required(literal(...types)),
      size: required(int()),
      mtime: required(int()),
    });
  const page = (name: string, item: ReturnType<typeof entry>) =>
    model(name, { path: required(str()), entries: required(list(item)), truncated: required(bool()) });
  const text = (name: string) =>
    model(name, {
      path: required(str()),
      size: required(int()),
      truncated: required(bool()),
      binary: required(bool()),
      text: optional(nullable(str()), null),
    });
  const download = model('WorkspaceDownloadResponse', {
    path: required(str()),
    size: required(int()),
    truncated: required(bool()),
    content_base64: required(str()),
  });
  const uploaded = model('SandboxUploadResponse', { path: required(str()), file: required(dict(any())) });

  const sandbox = (
    operationId: string,
    summary: string,
    body: typeof listRequest | typeof readRequest | typeof uploadRequest,
    schema: ResponseDescription['schema'],
  ) =>
    describe({
      operationId,
      summary,
      tags: ['sandbox'],
      description: 'The workspace is named by the composition and the snapshot that a run would be resumed with.',
      body,
      responses: {
        200: { description: 'What was found', ...(schema === undefined ? {} : { schema }) },
        ...faults,
        413: error('The body is over the limit'),
        503: fault('No sandbox is configured'),
      },
    });

  const sessionId: Parameter = { name: 'session_id', in: 'path', required: true, schema: str() };
  const path = (needed: boolean): Parameter => ({
    name: 'path',
    in: 'query',
    required: needed,
    schema: needed ? str() : withDefault(str(), '.'),
  });
  const inspector = (
    name: string,
    summary: string,
    suffix: string,
    needed: boolean,
    schema: ResponseDescription['schema'],
  ) =>
    describe({
      operationId: `${name}_workspaces__session_id__files${suffix}_get`,
      summary,
      tags: ['workspaces'],
      parameters: [sessionId, path(needed)],
      responses: {
        200: { description: 'What was found', ...(schema === undefined ? {} : { schema }) },
        ...faults,
        503: error('No sandbox is configured'),
      },
    });

  return {
    sandboxList: sandbox(
      'list_sandbox_files',
      'List Sandbox Files',
      listRequest,
      page('SandboxListResponse', entry('SandboxFileEntry', 'file', 'dir', 'symlink', 'other')),
    ),
    sandboxRead: sandbox('read_sandbox_file', 'Read Sandbox File', readRequest, text('SandboxReadResponse')),
    sandboxUpload: sandbox('upload_sandbox_file', 'Upload Sandbox File', uploadRequest, uploaded),
    inspectorList: inspector(
      'list_files',
      'List Files',
      '',
      false,
      page('WorkspaceListResponse', entry('WorkspaceFileEntry', 'file', 'dir', 'symlink')),
    ),
    inspectorPreview: inspector('preview_file', 'Preview File', '_preview', true, text('WorkspacePreviewResponse')),
    inspectorDownload: inspector('download_file', 'Download File', '_download', true, download),
  };
}

function withDefault<S extends object>(schema: S, value: string): S {
  return { ...schema, default: value };
}
