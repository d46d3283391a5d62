// The agent's configuration (spec 05 §4, §5.3): its manifest, its files and skills, and what a sandbox may change of a draft.
// Bytes of files and skills pass through; everything else is JSON.

import type { JsonObject, JsonValue } from '../base/json.ts';
import { validate } from '../validation/walker.ts';
import { pyStrip } from '../wiretext/strip.ts';
import { type ConfigManifest, configManifest, type DownloadAnswer } from './answers.ts';
import type { StubCaller } from './caller.ts';
import { contextLacks, StubError } from './errors.ts';
import { withoutNulls } from './files.ts';
import { type InnerApi, invalidAnswer, passedObject } from './inner.ts';
import { type AssetKind, innerPath, isSafeSegment } from './names.ts';
import { need, valid } from './requests.ts';
import { assetPath, type ConfigAsset, configEnv, configNote, configPush } from './schemas.ts';
import type { Tickets } from './tickets.ts';

/** An asset on its way. */
export interface AssetBytes {
  readonly mediaType: string;
  /** Read it to its end or cancel it. Errors with DifyApiError. */
  readonly stream: ReadableStream<Uint8Array>;
  /** Resolves when nothing more will be read from the API, for whatever reason. */
  readonly over: Promise<void>;
}

/** Operations on the configuration. They reject with InvalidStubRequest, StubError, or the signal's reason. */
export interface ConfigOperations {
  manifest(caller: StubCaller, signal: AbortSignal): Promise<ConfigManifest>;
  /** The bytes of an asset: a zip for a skill. */
  pull(caller: StubCaller, kind: AssetKind, name: string, signal: AbortSignal): Promise<AssetBytes>;
  inspectSkill(caller: StubCaller, name: string, signal: AbortSignal): Promise<JsonObject>;
  push(caller: StubCaller, input: unknown, signal: AbortSignal): Promise<ConfigManifest>;
  setEnv(caller: StubCaller, input: unknown, signal: AbortSignal): Promise<JsonObject>;
  setNote(caller: StubCaller, input: unknown, signal: AbortSignal): Promise<JsonObject>;
  /** Where a sandbox can download an asset without a header. */
  download(caller: StubCaller, asset: ConfigAsset, signal: AbortSignal): Promise<DownloadAnswer>;
}

/** What they need. */
export interface ConfigOperationsDeps {
  readonly api: InnerApi;
  /** Makes the last part of download URLs. */
  readonly tickets: Tickets | null;
  /** Public base of the stub's HTTP routes; null: it is not known. */
  readonly publicUrl: string | null;
}

/** Under the base of the stub: the rest is a ticket. */
export const DOWNLOAD_PATH = '/config/downloads';

const FOLDER: Readonly<Record<AssetKind, string>> = { file: 'files', skill: 'skills' };

const MEDIA_TYPE: Readonly<Record<AssetKind, string>> = { file: 'application/octet-stream', skill: 'application/zip' };

export function createConfigOperations({ api, tickets, publicUrl }: ConfigOperationsDeps): ConfigOperations {
  async function manifest(caller: StubCaller, signal: AbortSignal): Promise<ConfigManifest> {
    const path = readPath(caller, 'manifest');
    return manifestOf(await api.json(caller, { method: 'GET', path }, signal), 'config manifest');
  }

  /** A change: the payload with the identity of who makes it. */
  async function change(
    caller: StubCaller,
    method: 'POST' | 'PATCH' | 'PUT',
    action: string,
    payload: JsonObject,
    signal: AbortSignal,
  ): Promise<JsonValue> {
    api.require();
    const { agent, tenant_id, config_version_id, config_version_kind } = versionOf(caller);
    const user_id = need(caller, 'user_id', 'execution context user_id is required for config write operations');
    const body = { tenant_id, user_id, config_version_id, config_version_kind, ...payload };
    return api.json(caller, { method, path: `${agent}/${action}`, body }, signal);
  }

  /** The path of a read, with the identity of who reads. */
  function readPath(caller: StubCaller, ...segments: readonly string[]): string {
    api.require();
    const { agent, ...version } = versionOf(caller);
    const { user_id } = caller.context;
    const query = new URLSearchParams({ ...version, ...(user_id === null || user_id === '' ? {} : { user_id }) });
    return `${agent}${innerPath(...segments)}?${query}`;
  }

  return {
    manifest,
    async pull(caller, kind, name, signal) {
      const path = readPath(caller, FOLDER[kind], assetName(kind, name), 'pull');
      const body = await api.bytes(caller, { method: 'GET', path }, signal);
      // A page of something between us and the API; a page of the agent's own comes as an attachment.
      if (!body.attachment && body.contentType?.startsWith('text/html') === true) {
        await body.stream.cancel();
        throw new StubError(502, 'Dify API config request response is invalid');
      }
      return { mediaType: MEDIA_TYPE[kind], stream: body.stream, over: body.over };
    },
    async inspectSkill(caller, name, signal) {
      const path = readPath(caller, FOLDER.skill, assetName('skill', name), 'inspect');
      return passedObject(await api.json(caller, { method: 'GET', path }, signal), 'config skill inspect');
    },
    async push(caller, input, signal) {
      const { files, skills, ...texts } = valid(configPush, input);
      const payload = { files: files.map(withoutNulls), skills: skills.map(withoutNulls), ...withoutNulls(texts) };
      return manifestOf(await change(caller, 'POST', 'push', payload, signal), 'config push');
    },
    async setEnv(caller, input, signal) {
      return passedObject(await change(caller, 'PATCH', 'env', { ...valid(configEnv, input) }, signal), 'config env');
    },
    async setNote(caller, input, signal) {
      return passedObject(await change(caller, 'PUT', 'note', { ...valid(configNote, input) }, signal), 'config note');
    },
    async download(caller, { kind, name: given }, signal) {
      const name = pyStrip(given);
      const { skills, files } = await manifest(caller, signal);
      const item = (kind === 'skill' ? skills : files).items.find((candidate) => candidate.name === name);
      if (item === undefined) throw new StubError(404, `config ${kind} not found`);
      if (item.size === null) throw invalidAnswer('config manifest');
      if (tickets === null || publicUrl === null) {
        throw new StubError(503, 'Agent Stub config downloads need an HTTP Agent Stub URL');
      }
      const ticket = await tickets.issue({ caller, kind, name });
      return {
        filename: kind === 'skill' ? `${name}.zip` : name,
        mime_type: kind === 'skill' ? MEDIA_TYPE.skill : item.mime_type,
        size: item.size,
        download_url: `${publicUrl}${DOWNLOAD_PATH}/${ticket}`,
      };
    },
  };
}

function manifestOf(answer: JsonValue, what: string): ConfigManifest {
  const result = validate(configManifest, answer);
  if (result.ok) return result.value;
  throw invalidAnswer(what);
}

/** The agent and the version of its configuration that the token names, checked in the reference's order. */
function versionOf(caller: StubCaller) {
  const agentId = need(caller, 'agent_id', 'execution context agent_id is required for config operations');
  const id = need(caller, 'agent_config_version_id', 'execution context agent_config_version_id is required');
  const kind = need(caller, 'agent_config_version_kind', 'execution context agent_config_version_kind is required');
  if (!isSafeSegment(agentId)) throw contextLacks('execution context agent_id is not a safe name');
  return {
    agent: innerPath('inner', 'api', 'agent-config', agentId),
    tenant_id: caller.context.tenant_id,
    config_version_id: id,
    config_version_kind: kind,
  };
}

/** The name in a path. Throws InvalidStubRequest. */
function assetName(kind: AssetKind, name: string): string {
  return pyStrip(valid(assetPath(kind), { name }, 'path').name);
}
