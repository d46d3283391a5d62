// Signed URLs for files (spec 05 §4.1, §5.1): where a sandbox may put one, and where it finds one. The bytes go past us.

import { isJsonObject, type JsonObject, type JsonValue } from '../base/json.ts';
import { validate } from '../validation/walker.ts';
import { type DownloadAnswer, downloadAnswer, envelope, type UploadAnswer } from './answers.ts';
import type { StubCaller } from './caller.ts';
import { StubError } from './errors.ts';
import type { InnerApi } from './inner.ts';
import { invalidAnswer } from './inner.ts';
import { need, valid } from './requests.ts';
import { type ConfigAsset, downloadRequest, type FileMapping, uploadRequest } from './schemas.ts';

/** Operations on files. They reject with InvalidStubRequest, StubError, or the signal's reason. */
export interface FileOperations {
  requestUpload(caller: StubCaller, input: unknown, signal: AbortSignal): Promise<UploadAnswer>;
  requestDownload(caller: StubCaller, input: unknown, signal: AbortSignal): Promise<DownloadAnswer>;
}

/** What they need. */
export interface FileOperationsDeps {
  readonly api: InnerApi;
  /** Where an asset of the caller's configuration can be downloaded. */
  readonly configDownload: (caller: StubCaller, asset: ConfigAsset, signal: AbortSignal) => Promise<DownloadAnswer>;
}

const NEED_USER = 'execution context user_id is required for file operations';

export function createFileOperations({ api, configDownload }: FileOperationsDeps): FileOperations {
  /** The `data` of an answer's envelope. */
  async function ask(caller: StubCaller, path: string, body: JsonObject, signal: AbortSignal): Promise<JsonObject> {
    const answer = validate(envelope, await api.json(caller, { method: 'POST', path, body }, signal));
    if (!answer.ok) throw invalidAnswer('file request');
    const { data, error } = answer.value;
    if (error !== null && error !== '') throw new StubError(400, api.clean(error));
    if (!isJsonObject(data)) throw new StubError(502, 'Dify API file request response is missing data');
    return data;
  }

  async function fileDownload(
    caller: StubCaller,
    file: FileMapping,
    forFrontend: boolean,
    signal: AbortSignal,
  ): Promise<DownloadAnswer> {
    api.require();
    const body: JsonObject = {
      tenant_id: caller.context.tenant_id,
      user_id: need(caller, 'user_id', NEED_USER),
      // The API takes no file request without these; it is the caller's composition that lacks them (§12.12).
      user_from: need(caller, 'user_from', 'execution context user_from is required for file operations'),
      invoke_from: need(caller, 'invoke_from', 'execution context invoke_from is required for file operations'),
      file: withoutNulls(file),
      // The seed's API knows the five members alone, and makes URLs for the outside anyway.
      ...(forFrontend ? {} : { for_external: false }),
    };
    const data = validate(downloadAnswer, await ask(caller, '/inner/api/download/file/request', body, signal));
    if (!data.ok) throw invalidAnswer('download request');
    return data.value;
  }

  return {
    async requestUpload(caller, input, signal) {
      const { filename, mimetype } = valid(uploadRequest, input);
      api.require();
      const user_id = need(caller, 'user_id', NEED_USER);
      const body = { tenant_id: caller.context.tenant_id, user_id, filename, mimetype };
      const { url } = await ask(caller, '/inner/api/upload/file/request', body, signal);
      if (typeof url !== 'string' || url === '') {
        throw new StubError(502, 'Dify API upload request response is missing url');
      }
      return { upload_url: url };
    },
    async requestDownload(caller, input, signal) {
      const { file, config, for_frontend } = valid(downloadRequest, input);
      if (config !== null) return configDownload(caller, config, signal);
      // The schema wants exactly one of the two.
      if (file === null) throw new Error('a download request without a source is valid');
      return fileDownload(caller, file, for_frontend, signal);
    },
  };
}

/** A request's object for the API, which expects absence instead of null. */
export function withoutNulls(object: Readonly<Record<string, JsonValue>>): JsonObject {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== null));
}
