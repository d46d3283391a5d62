// The signed URLs of the fake Dify API: multipart uploads of one field `file`, plain downloads. No key, no other header counts.

import { type Answer, type Asked, json, refuse, unknownPath, wrongMethod } from './dify-api-route.ts';
import { type DifyState, referenceOf, type StoredFile } from './dify-api-state.ts';

export const UPLOAD_PATH = '/files/upload/for-plugin';
export const DOWNLOAD_PREFIX = '/files/tools/';

export async function fileRoutes(state: DifyState, { url, method, request }: Asked): Promise<Answer> {
  const upload = url.pathname === UPLOAD_PATH;
  if (!upload && !url.pathname.startsWith(DOWNLOAD_PREFIX)) return unknownPath();
  if (method !== (upload ? 'POST' : 'GET')) return wrongMethod();
  if (!state.signed(url)) return refuse(403, 'forbidden', 'Invalid request');
  return upload ? put(state, url, request) : take(state, url);
}

async function put(state: DifyState, url: URL, request: Request): Promise<Answer> {
  if (request.headers.has('authorization'))
    return refuse(400, 'invalid_request', 'a signed URL takes no authorization');
  const part = onlyPart(Buffer.from(await request.bytes()), request.headers.get('content-type') ?? '');
  if (part === null) return refuse(400, 'no_file_uploaded', 'Please upload your file.');
  const stored = state.addFile({ tenantId: url.searchParams.get('tenant_id') ?? '', ...part });
  return json(201, {
    id: stored.id,
    reference: referenceOf(stored.id),
    name: stored.filename,
    size: stored.bytes.length,
    mime_type: stored.mimetype,
  });
}

/**
 * The one part of a multipart body, named `file`; null: it is not like that. By hand: Bun's own parser derives the type from the
 * name's ending.
 */
function onlyPart(body: Buffer, contentType: string): Pick<StoredFile, 'filename' | 'mimetype' | 'bytes'> | null {
  const boundary = /^multipart\/form-data;.*boundary="?([^";]+)"?/i.exec(contentType)?.[1];
  const headEnd = body.indexOf('\r\n\r\n');
  if (
    boundary === undefined ||
    headEnd < 0 ||
    !body.toString('latin1', 0, boundary.length + 4).startsWith(`--${boundary}\r\n`)
  ) {
    return null;
  }
  const head = body.toString('utf8', 0, headEnd);
  const end = body.indexOf(`\r\n--${boundary}--`, headEnd + 2);
  const filename = /;\s*name="?file"?;\s*filename="((?:[^"\\]|\\.)*)"/i.exec(head)?.[1];
  if (filename === undefined || end < 0 || body.indexOf(`\r\n--${boundary}\r\n`) >= 0) return null;
  const mimetype = /\r\ncontent-type:\s*([^\r\n]+)/i.exec(head)?.[1] ?? null;
  return { filename, mimetype, bytes: Uint8Array.from(body.subarray(headEnd + 4, end)) };
}

function take(state: DifyState, url: URL): Answer {
  const file = state.files.get(url.pathname.slice(DOWNLOAD_PREFIX.length));
  if (file === undefined) return unknownPath();
  return new Response(file.bytes, {
    headers: {
      'content-type': file.mimetype ?? 'application/octet-stream',
      'content-disposition': `attachment; filename*=UTF-8''${encodeURIComponent(file.filename)}`,
    },
  });
}
