// The inner endpoints of the fake Dify API (spec 05 §5.1–§5.3, 07 §6.2). Every member of a body and every parameter of a query
// that the contract does not name is a violation, answered with 400.

import { DOWNLOAD_PREFIX, UPLOAD_PATH } from './dify-api-files.ts';
import { type Answer, type Asked, json, refuse, unknownPath, wrongMethod } from './dify-api-route.ts';
import { type AgentConfig, type DifyState, type DriveItem, recordOf, type StoredFile } from './dify-api-state.ts';

interface InnerAsked extends Asked {
  readonly body: unknown;
}

type Members = Readonly<Record<string, unknown>>;

const FROM = ['account', 'end-user'];
const INVOKED = ['service-api', 'openapi', 'web-app', 'trigger', 'explore', 'debugger', 'published', 'validation'];

/** Thrown by the checks below. */
class Refused extends Error {
  readonly answer: Answer;
  constructor(answer: Answer, message: string) {
    super(message);
    this.answer = answer;
  }
}

function invalid(message: string): Refused {
  return new Refused(refuse(400, 'invalid_request', message), message);
}

export function innerRoutes(state: DifyState, asked: InnerAsked, violated: (what: string) => void): Answer {
  try {
    return route(state, asked);
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    violated(`${asked.method} ${asked.url.pathname}: ${error.message}`);
    return error.answer;
  }
}

function route(state: DifyState, asked: InnerAsked): Answer {
  const [, , area, ...rest] = asked.segments;
  if (area === 'upload' && rest.join('/') === 'file/request') return only('POST', asked, () => upload(state, asked));
  if (area === 'download' && rest.join('/') === 'file/request')
    return only('POST', asked, () => download(state, asked));
  if (area === 'drive') return drive(state, asked, rest);
  if (area === 'agent-config') return agentConfig(state, asked, rest);
  return unknownPath();
}

function only(method: string, asked: Asked, handle: () => Answer): Answer {
  return asked.method === method ? handle() : wrongMethod();
}

/** The members of an object: exactly `names`, and of `optional` any. */
function members(what: unknown, names: readonly string[], optional: readonly string[] = []): Members {
  if (typeof what !== 'object' || what === null || Array.isArray(what)) throw invalid('not an object');
  for (const name of names) if (!Object.hasOwn(what, name)) throw invalid(`${name} is required`);
  for (const name of Object.keys(what)) {
    if (!names.includes(name) && !optional.includes(name)) throw invalid(`${name} is unknown`);
  }
  return what as Members; // any object is one
}

function text(object: Members, name: string, from?: readonly string[]): string {
  const value = object[name];
  if (typeof value !== 'string' || (from === undefined ? name !== 'prefix' && value === '' : !from.includes(value))) {
    throw invalid(`${name} is not valid`);
  }
  return value;
}

function queryOf({ url }: Asked, names: readonly string[], optional: readonly string[] = []): Members {
  return members(Object.fromEntries(url.searchParams), names, optional);
}

function upload(state: DifyState, { body }: InnerAsked): Answer {
  const asked = members(body, ['tenant_id', 'user_id', 'filename', 'mimetype']);
  if (typeof asked.filename !== 'string' || typeof asked.mimetype !== 'string') throw invalid('not texts');
  const url = state.sign(UPLOAD_PATH, { tenant_id: text(asked, 'tenant_id'), user_id: text(asked, 'user_id') });
  return json(200, { data: { url }, error: '' });
}

function download(state: DifyState, { body }: InnerAsked): Answer {
  const asked = members(body, ['tenant_id', 'user_id', 'user_from', 'invoke_from', 'file'], ['for_external']);
  text(asked, 'user_id');
  text(asked, 'user_from', FROM);
  text(asked, 'invoke_from', INVOKED);
  const mapping = members(asked.file, ['transfer_method'], ['reference', 'url']);
  for (const [name, value] of Object.entries(mapping)) if (value === null) throw invalid(`${name} is null`);
  if (text(mapping, 'transfer_method') === 'remote_url') {
    const url = text(mapping, 'url');
    const filename = new URL(url).pathname.split('/').at(-1) || 'download.bin';
    return json(200, { data: { filename, mime_type: null, size: -1, download_url: url }, error: null });
  }
  const file = state.files.get(recordOf(mapping.reference) ?? '');
  if (file === undefined) return json(200, { data: null, error: 'file not found' });
  if (file.tenantId !== text(asked, 'tenant_id')) return refuse(403, 'forbidden', 'file of another tenant');
  return json(200, { data: fileFacts(state, file) });
}

function fileFacts(state: DifyState, file: StoredFile) {
  return {
    filename: file.filename,
    mime_type: file.mimetype,
    size: file.bytes.length,
    download_url: state.sign(`${DOWNLOAD_PREFIX}${file.id}`, { as_attachment: 'true' }),
  };
}

function drive(state: DifyState, asked: InnerAsked, [ref = '', action]: readonly string[]): Answer {
  if (!/^agent-[^/\\]+$/.test(decodeURIComponent(ref))) throw invalid('drive_ref is not valid');
  const items = state.drives.get(ref) ?? new Map<string, DriveItem>();
  const item = (key: string, withUrl: boolean) => {
    const entry = items.get(key);
    const file = entry && state.files.get(entry.fileId);
    return {
      key,
      size: file?.bytes.length ?? null,
      hash: file ? new Bun.CryptoHasher('sha256').update(file.bytes).digest('hex') : null,
      mime_type: file?.mimetype ?? null,
      file_kind: 'tool_file',
      file_id: entry?.fileId ?? null,
      created_at: 1_780_000_000,
      ...(withUrl && file ? { download_url: fileFacts(state, file).download_url } : {}),
      removed: entry === undefined,
      is_skill: entry?.isSkill ?? false,
    };
  };
  if (action === 'manifest') {
    return only('GET', asked, () => {
      const query = queryOf(asked, ['tenant_id', 'prefix', 'include_download_url']);
      text(query, 'tenant_id');
      const withUrl = text(query, 'include_download_url', ['true', 'false']) === 'true';
      const keys = [...items.keys()].filter((key) => key.startsWith(text(query, 'prefix'))).sort();
      return json(200, { items: keys.map((key) => item(key, withUrl)) });
    });
  }
  if (action === 'skills') {
    return only('GET', asked, () => {
      text(queryOf(asked, ['tenant_id']), 'tenant_id');
      const skills = [...items.values()].filter(({ isSkill }) => isSkill);
      return json(200, { items: skills.map(({ key }) => item(key, false)) });
    });
  }
  if (action !== 'commit') return unknownPath();
  return only('POST', asked, () => {
    const body = members(asked.body, ['tenant_id', 'user_id', 'items']);
    text(body, 'tenant_id');
    text(body, 'user_id');
    if (!Array.isArray(body.items)) throw invalid('items is not a list');
    const changed = body.items.map((raw: unknown) => {
      const one = members(raw, ['key'], ['file_ref', 'value_owned_by_drive', 'is_skill', 'skill_metadata']);
      const key = text(one, 'key');
      if (one.file_ref === undefined) items.delete(key);
      else {
        const ref = members(one.file_ref, ['kind', 'id']);
        text(ref, 'kind', ['upload_file', 'tool_file']);
        items.set(key, { key, fileId: text(ref, 'id'), isSkill: one.is_skill === true });
      }
      return key;
    });
    state.drives.set(ref, items);
    return json(200, { items: changed.map((key) => item(key, false)) });
  });
}

function agentConfig(state: DifyState, asked: InnerAsked, [agent = '', ...rest]: readonly string[]): Answer {
  const agentId = decodeURIComponent(agent);
  const config = state.configs.get(agentId);
  if (config === undefined) return refuse(404, 'agent_not_found', 'agent not found');
  const [folder, name, action] = rest;
  const decoded = decodeURIComponent(name ?? '');
  const read = (handle: () => Answer) =>
    only('GET', asked, () => {
      const version = ['tenant_id', 'config_version_id', 'config_version_kind'];
      checkVersion(config, queryOf(asked, version, ['user_id']));
      return handle();
    });
  const write = (method: string, optional: readonly string[], handle: (body: Members) => Answer) =>
    only(method, asked, () => {
      const version = ['tenant_id', 'user_id', 'config_version_id', 'config_version_kind'];
      const body = members(asked.body, version, optional);
      text(body, 'user_id');
      checkVersion(config, body);
      if (!config.version.writable) return refuse(409, 'config_not_writable', 'the version is not writable');
      return handle(body);
    });
  switch (rest.length === 1 ? folder : `${folder}/${action}`) {
    case 'manifest':
      return read(() => json(200, manifestOf(agentId, config)));
    case 'skills/pull':
      return read(() => attachment(config.skills.get(decoded), `${decoded}.zip`, 'application/zip'));
    case 'files/pull':
      return read(() => attachment(config.files.get(decoded), decoded, 'application/octet-stream'));
    case 'skills/inspect':
      return read(() =>
        config.skills.has(decoded) ? json(200, { name: decoded, entries: ['SKILL.md'] }) : unknownPath(),
      );
    case 'push':
      return write('POST', ['files', 'skills', 'env_text', 'note'], (body) => {
        push(state, config.files, body.files);
        push(state, config.skills, body.skills);
        if (body.env_text !== undefined) config.envText = String(body.env_text);
        if (body.note !== undefined) config.note = String(body.note);
        return json(200, manifestOf(agentId, config));
      });
    case 'env':
      return write('PATCH', ['env_text'], (body) => {
        if (typeof body.env_text !== 'string') throw invalid('env_text is not a text');
        config.envText = body.env_text;
        return json(200, { env_keys: envKeys(config) });
      });
    case 'note':
      return write('PUT', ['note'], (body) => {
        if (typeof body.note !== 'string') throw invalid('note is not a text');
        config.note = body.note;
        return json(200, { note: config.note });
      });
    default:
      return unknownPath();
  }
}

function checkVersion({ version }: AgentConfig, given: Members): void {
  text(given, 'tenant_id');
  if (given.config_version_id !== version.id || given.config_version_kind !== version.kind) {
    throw invalid('config_version is not valid');
  }
}

function push(state: DifyState, into: Map<string, Uint8Array>, list: unknown): void {
  if (list === undefined) return;
  if (!Array.isArray(list)) throw invalid('not a list');
  for (const raw of list) {
    const item = members(raw, ['name'], ['file_ref']);
    const name = text(item, 'name');
    if (item.file_ref === undefined) {
      into.delete(name);
      continue;
    }
    const ref = members(item.file_ref, ['kind', 'id']);
    text(ref, 'kind', ['upload_file', 'tool_file']);
    const file = state.files.get(text(ref, 'id'));
    if (file === undefined) throw invalid('file_ref is unknown');
    into.set(name, file.bytes);
  }
}

function manifestOf(agentId: string, config: AgentConfig) {
  const items = (assets: ReadonlyMap<string, Uint8Array>) =>
    [...assets].map(([name, bytes]) => ({ name, size: bytes.length, hash: 'h', mime_type: 'text/plain', extra: 1 }));
  const skills = items(config.skills).map((item) => ({ ...item, description: `skill ${item.name}` }));
  return {
    agent_id: agentId,
    config_version: config.version,
    skills: { items: skills },
    files: { items: items(config.files) },
    env_keys: envKeys(config),
    note: config.note,
    extra: true,
  };
}

function envKeys({ envText }: AgentConfig): readonly string[] {
  return envText.split('\n').flatMap((line) => (line.includes('=') ? [line.slice(0, line.indexOf('='))] : []));
}

function attachment(bytes: Uint8Array | undefined, name: string, type: string): Answer {
  if (bytes === undefined) return refuse(404, 'asset_not_found', 'asset not found');
  const disposition = `attachment; filename*=UTF-8''${encodeURIComponent(name)}`;
  return new Response(bytes, { headers: { 'content-type': type, 'content-disposition': disposition } });
}
