// Files of workspaces: the sandbox endpoints, which name a workspace by composition and snapshot (spec 04 §3.2), and the older
// inspector, which names it by session id (§3.1). Each has its own words for the same faults.

import { Elysia } from 'elysia';
import { CodedError } from '../../base/errors.ts';
import type { LocatedSandbox } from '../../layers/sandbox-locator.ts';
import { maskSecrets } from '../../observe/secrets.ts';
import type { RunComposition, SessionSnapshot } from '../../protocol/runs.ts';
import { type Look, WorkspaceFileError, type WorkspaceFiles } from '../../workspaces/files.ts';
import type { StubEnvironments } from '../../workspaces/ports.ts';
import type { SessionId } from '../../workspaces/session.ts';
import type { BodyLimits } from '../body.ts';
import { HttpError, InvalidInputError } from '../errors.ts';
import { type BodyReader, bodyReader } from '../input.ts';
import { jsonResponse } from '../responses.ts';
import { queryOf } from '../target.ts';
import {
  answering,
  fault,
  inspectedPath,
  inspectorFault,
  sandboxFault,
  sandboxPath,
  sessionIdOf,
} from './files-faults.ts';
import { fileOperations, listRequest, readRequest, uploadRequest } from './files-operations.ts';

/** What the file routes need. */
export interface FileRoutesDeps {
  /** Null: no shellctl is configured. */
  readonly files: WorkspaceFiles | null;
  /** Null: jobs have no way to the Agent Stub. */
  readonly stub: StubEnvironments | null;
  /** Throws CodedError whose text says what is wrong with the locator. */
  readonly locate: (locator: Locator) => LocatedSandbox;
  readonly limits: BodyLimits;
}

interface Locator {
  readonly composition: RunComposition;
  readonly session_snapshot: SessionSnapshot;
}

/** How long a look of the inspector may take (spec 04 §3.1), ms. */
const INSPECT_MS = 20_000;
/** The sandbox endpoints (spec 04 §3.2): ms, and whether no path means the workspace itself. */
const LOOKS = {
  list: { timeoutMs: 10_000, blankIsRoot: true },
  read: { timeoutMs: 15_000, blankIsRoot: false },
  upload: { timeoutMs: 30_000, blankIsRoot: false },
} as const;
/** What the older inspector shows and hands out of a file, bytes. */
const PREVIEW_BYTES = 262_144;
const DOWNLOAD_BYTES = 8_388_608;

/** The plugin with the six file routes. */
export function fileRoutes({ files, stub, locate, limits }: FileRoutesDeps) {
  const operations = fileOperations();
  const readers = {
    list: bodyReader(listRequest, limits),
    read: bodyReader(readRequest, limits),
    upload: bodyReader(uploadRequest, limits),
  };

  function inspector(): WorkspaceFiles {
    if (files === null) throw new HttpError(503, 'workspace inspector is not configured (no shellctl entrypoint)');
    return files;
  }

  /** A look by session id: the answer begins with the path as it was understood. */
  function inspect(
    { request, path: place }: Asked,
    target: (request: Request) => string,
    work: (at: Inspected) => Promise<object>,
  ): Promise<Response> {
    return answering(
      request,
      async () => {
        const room = inspector();
        const path = inspectedPath(target(request));
        const id = sessionIdOf(decode(place.split('/')[2] ?? ''));
        const answer = await work({ room, id, path, look: lookOf(request, INSPECT_MS) });
        return jsonResponse(200, JSON.stringify({ path, ...answer }));
      },
      inspectorFault,
    );
  }

  function look<T extends { readonly locator: Locator; readonly path: string }>(
    request: Request,
    read: BodyReader<T>,
    { timeoutMs, blankIsRoot }: { readonly timeoutMs: number; readonly blankIsRoot: boolean },
    work: (at: Sandbox, body: T) => Promise<object>,
  ): Promise<Response> {
    return answering(
      request,
      async () => {
        const body = await read(request);
        if (files === null) throw fault(503, 'sandbox_backend_unavailable', 'sandbox service is not configured');
        const path = sandboxPath(body.path, blankIsRoot);
        const located = locatedOf(() => locate(body.locator));
        const answer = await work({ room: files, path, located, look: lookOf(request, timeoutMs) }, body);
        return jsonResponse(200, JSON.stringify({ path, ...answer }));
      },
      sandboxFault,
    );
  }

  return new Elysia({ name: 'files' })
    .post(
      '/sandbox/files/list',
      ({ request }) =>
        look(request, readers.list, LOOKS.list, ({ room, located, path, look: options }) =>
          room.list(located.sessionId, path, options),
        ),
      { parse: 'none', detail: operations.sandboxList },
    )
    .post(
      '/sandbox/files/read',
      ({ request }) =>
        look(request, readers.read, LOOKS.read, ({ room, located, path, look: options }, { max_bytes: maxBytes }) =>
          room.read(located.sessionId, path, Number(maxBytes), options),
        ),
      { parse: 'none', detail: operations.sandboxRead },
    )
    .post(
      '/sandbox/files/upload',
      ({ request }) =>
        look(request, readers.upload, LOOKS.upload, async ({ room, located, path, look: options }) => {
          const { sessionId, context, driveRef } = located;
          if (stub === null || context === null) {
            throw new WorkspaceFileError(
              'command_failed',
              'Agent Stub environment injection is not available for this shell session.',
            );
          }
          const issued = await stub.issue({ context, sessionId, driveRef });
          try {
            return { file: await room.upload(sessionId, path, issued.env, options) };
          } catch (error) {
            if (!(error instanceof WorkspaceFileError)) throw error;
            // The tool's own words, which may repeat its environment.
            throw new WorkspaceFileError(error.fault, maskSecrets(error.message, issued.secrets), { cause: error });
          } finally {
            issued.revoke();
          }
        }),
      { parse: 'none', detail: operations.sandboxUpload },
    )
    .get(
      '/workspaces/:session_id/files',
      (asked) =>
        inspect(
          asked,
          ({ url }) => queryOf(url).getAll('path').at(-1) ?? '.',
          async ({ room, id, path, look: options }) => {
            const { entries, truncated } = await room.list(id, path, options);
            // This interface knows three types only.
            return {
              entries: entries.map((entry) => (entry.type === 'other' ? { ...entry, type: 'file' } : entry)),
              truncated,
            };
          },
        ),
      { parse: 'none', detail: operations.inspectorList },
    )
    .get(
      '/workspaces/:session_id/files/preview',
      (asked) =>
        inspect(asked, requiredPath, ({ room, id, path, look: options }) =>
          room.read(id, path, PREVIEW_BYTES, options),
        ),
      { parse: 'none', detail: operations.inspectorPreview },
    )
    .get(
      '/workspaces/:session_id/files/download',
      (asked) =>
        inspect(asked, requiredPath, ({ room, id, path, look: options }) =>
          room.download(id, path, DOWNLOAD_BYTES, options),
        ),
      { parse: 'none', detail: operations.inspectorDownload },
    );
}

/** What Elysia hands to a handler, as far as it is used here. */
interface Asked {
  readonly request: Request;
  /** Of the URL. */
  readonly path: string;
}

interface Inspected {
  readonly room: WorkspaceFiles;
  readonly id: SessionId;
  readonly path: string;
  readonly look: Look;
}

interface Sandbox {
  readonly room: WorkspaceFiles;
  readonly path: string;
  readonly located: LocatedSandbox;
  readonly look: Look;
}

/** A caller that goes away ends its look. Each is an owner of its own, so that none waits behind another's. */
function lookOf(request: Request, timeoutMs: number): Look {
  return { signal: request.signal, owner: Symbol('look'), timeoutMs };
}

function requiredPath(request: Request): string {
  const path = queryOf(request.url).getAll('path').at(-1);
  if (path === undefined)
    throw new InvalidInputError('query', [{ type: 'missing', loc: ['path'], msg: 'Field required', input: null }]);
  return path;
}

/** An undecodable escape is no id of ours. */
function decode(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    return '';
  }
}

function locatedOf(locate: () => LocatedSandbox): LocatedSandbox {
  try {
    return locate();
  } catch (error) {
    if (!(error instanceof CodedError)) throw error;
    throw fault(400, 'invalid_sandbox_locator', error.message);
  }
}
