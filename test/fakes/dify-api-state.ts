// What the fake Dify API keeps: files by record id, drives by reference, configurations by agent.

import { createHmac, randomUUID } from 'node:crypto';

/** An uploaded file. */
export interface StoredFile {
  readonly id: string;
  readonly tenantId: string;
  readonly filename: string;
  readonly mimetype: string | null;
  readonly bytes: Uint8Array;
}

/** An entry of a drive. */
export interface DriveItem {
  readonly key: string;
  readonly fileId: string;
  readonly isSkill: boolean;
}

/** An agent's configuration. */
export interface AgentConfig {
  readonly version: { readonly id: string; readonly kind: string; readonly writable: boolean };
  readonly skills: Map<string, Uint8Array>;
  readonly files: Map<string, Uint8Array>;
  envText: string;
  note: string;
}

/** The state and what can be done with it. */
export interface DifyState {
  /** The API's own address, in signed URLs. */
  readonly url: string;
  readonly files: Map<string, StoredFile>;
  readonly drives: Map<string, Map<string, DriveItem>>;
  readonly configs: Map<string, AgentConfig>;
  addFile(file: Omit<StoredFile, 'id'>): StoredFile;
  /** A configuration without assets. */
  addConfig(agentId: string, version?: AgentConfig['version']): AgentConfig;
  /** A URL of ours with a signature over path and parameters. */
  sign(path: string, parameters: Readonly<Record<string, string>>): string;
  signed(url: URL): boolean;
}

/** The reference of a record (spec 05 §4.1). */
export function referenceOf(recordId: string): string {
  const text = Buffer.from(JSON.stringify({ record_id: recordId })).toString('base64');
  return `dify-file-ref:${text.replaceAll('+', '-').replaceAll('/', '_')}`;
}

/** The record id of a reference; null: not one. */
export function recordOf(reference: unknown): string | null {
  if (typeof reference !== 'string' || !reference.startsWith('dify-file-ref:')) return null;
  const parsed: unknown = JSON.parse(Buffer.from(reference.slice('dify-file-ref:'.length), 'base64url').toString());
  const id = typeof parsed === 'object' && parsed !== null && 'record_id' in parsed ? parsed.record_id : null;
  return typeof id === 'string' ? id : null;
}

export function createDifyState(url: string): DifyState {
  const key = randomUUID();
  const files = new Map<string, StoredFile>();
  const configs = new Map<string, AgentConfig>();
  const signature = (path: string, parameters: URLSearchParams): string => {
    const sorted = new URLSearchParams([...parameters].filter(([name]) => name !== 'sign'));
    sorted.sort();
    return createHmac('sha256', key).update(`${path}?${sorted}`).digest('base64url');
  };
  return {
    url,
    files,
    drives: new Map(),
    configs,
    addFile(file) {
      const stored = { id: randomUUID(), ...file };
      files.set(stored.id, stored);
      return stored;
    },
    addConfig(agentId, version = { id: 'v-1', kind: 'build_draft', writable: true }) {
      const config: AgentConfig = { version, skills: new Map(), files: new Map(), envText: '', note: '' };
      configs.set(agentId, config);
      return config;
    },
    sign(path, parameters) {
      const query = new URLSearchParams({ ...parameters, nonce: randomUUID() });
      query.set('sign', signature(path, query));
      return `${url}${path}?${query}`;
    },
    signed: ({ pathname, searchParams }) => searchParams.get('sign') === signature(pathname, searchParams),
  };
}
