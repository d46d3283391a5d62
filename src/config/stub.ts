// The variables of the Agent Stub and the Dify API together: what contradicts (texts and order of spec 05 §1), what is odd,
// and what both generations of names amount to. The variables themselves are in variables/stub.ts.

import { STUB_PATH } from './formats.ts';
import type { DifyApiSettings, Settings, StubSettings } from './settings.ts';

/** Where the reference's later vintages expect the Dify API. */
export const INNER_API_URL_DEFAULT = 'http://localhost:5001';

/** What sandboxes are told, and what the server has to offer for it. */
export interface StubAddresses {
  /** For `DIFY_AGENT_STUB_URL` in a sandbox. */
  readonly url: string;
  /** For `DIFY_AGENT_STUB_API_BASE_URL` in a sandbox. */
  readonly apiBaseUrl: string;
  /** The public `grpc://host:port`, when one of the URLs is one: the gRPC server is wanted. */
  readonly grpcUrl: string | null;
}

/** Both URLs, one standing in for the other; null: neither is set. */
export function stubAddresses({ url, apiBaseUrl }: Pick<StubSettings, 'url' | 'apiBaseUrl'>): StubAddresses | null {
  const any = url ?? apiBaseUrl;
  if (any === null) return null;
  return {
    url: any,
    apiBaseUrl: apiBaseUrl ?? (isRoot(any) ? any + STUB_PATH : any),
    grpcUrl: [url, apiBaseUrl].find((candidate) => candidate?.startsWith('grpc://')) ?? null,
  };
}

/** The Dify API's address and key by whichever names they were given; null: not configured. */
export function difyApiAddress({
  baseUrl,
  innerApiKey,
  inner,
}: Pick<DifyApiSettings, 'baseUrl' | 'innerApiKey' | 'inner'>): {
  readonly baseUrl: string;
  readonly innerApiKey: string;
} | null {
  const key = innerApiKey ?? inner.apiKey;
  return key === null ? null : { baseUrl: baseUrl ?? inner.url, innerApiKey: key };
}

type StubParts = Pick<Settings, 'stub' | 'difyApi' | 'serverSecretKey' | 'serverSecretKeysPrevious'>;

/** What contradicts, one line each. */
export function stubConflicts({
  stub,
  difyApi,
  serverSecretKey,
  serverSecretKeysPrevious,
}: StubParts): readonly string[] {
  const problems: string[] = [];
  const addresses = stubAddresses(stub);
  // Messages name the variable that was used.
  const urlName =
    stub.url === null && stub.apiBaseUrl !== null ? 'DIFY_AGENT_STUB_API_BASE_URL' : 'DIFY_AGENT_STUB_URL';
  if (addresses !== null && serverSecretKey === null) {
    problems.push(`DIFY_AGENT_SERVER_SECRET_KEY is required when ${urlName} is set.`);
  }
  if (serverSecretKeysPrevious.length > 0 && serverSecretKey === null) {
    problems.push('DIFY_AGENT_SERVER_SECRET_KEY is required when DIFY_AGENT_SERVER_SECRET_KEY_PREVIOUS is set.');
  }
  if (stub.grpcBindAddress !== null && addresses === null) {
    problems.push(`${urlName} is required when DIFY_AGENT_STUB_GRPC_BIND_ADDRESS is set.`);
  } else if (stub.grpcBindAddress !== null && addresses?.grpcUrl === null) {
    problems.push(`DIFY_AGENT_STUB_GRPC_BIND_ADDRESS requires a grpc:// ${urlName}.`);
  }
  if ((stub.grpcTls.certFile === null) !== (stub.grpcTls.keyFile === null)) {
    problems.push('DIFY_AGENT_STUB_GRPC_TLS_CERT and DIFY_AGENT_STUB_GRPC_TLS_KEY must be set together.');
  }
  return [...problems, ...difyApiConflicts(difyApi)];
}

/** The names of the seed come in a pair; a missing half may be given by its later name. */
function difyApiConflicts({ baseUrl, innerApiKey, inner }: DifyApiSettings): readonly string[] {
  const problems: string[] = [];
  const lonelyUrl = baseUrl !== null && innerApiKey === null && inner.apiKey === null;
  const lonelyKey = innerApiKey !== null && baseUrl === null && inner.url === INNER_API_URL_DEFAULT;
  if (lonelyUrl || lonelyKey) {
    problems.push('DIFY_AGENT_DIFY_API_BASE_URL and DIFY_AGENT_DIFY_API_INNER_API_KEY must be set together.');
  }
  if (baseUrl !== null && /[?#]/.test(baseUrl)) {
    problems.push('DIFY_AGENT_DIFY_API_BASE_URL must not include a query string or fragment');
  }
  return problems;
}

/** What can be meant but probably is not, one line each: for the log at start and for `check`. */
export function stubWarnings({ stub, difyApi, serverSecretKey }: StubParts): readonly string[] {
  const warnings: string[] = [];
  if (stub.url?.startsWith('grpc://') === false && !stub.url.endsWith(STUB_PATH)) {
    warnings.push(
      `DIFY_AGENT_STUB_URL does not end in ${STUB_PATH}, where the routes of the Agent Stub are: sandboxes find them only if a proxy adds it`,
    );
  }
  if (stubAddresses(stub) !== null && difyApiAddress(difyApi) === null) {
    warnings.push(
      'DIFY_AGENT_DIFY_API_BASE_URL and DIFY_AGENT_DIFY_API_INNER_API_KEY are not set: the Agent Stub answers requests for files, drive and configuration with 503',
    );
  }
  if (
    difyApi.baseUrl !== null &&
    difyApi.inner.url !== INNER_API_URL_DEFAULT &&
    difyApi.baseUrl !== difyApi.inner.url
  ) {
    warnings.push('DIFY_AGENT_INNER_API_URL is ignored: DIFY_AGENT_DIFY_API_BASE_URL is set to another URL');
  }
  if (difyApi.innerApiKey !== null && difyApi.inner.apiKey !== null && difyApi.innerApiKey !== difyApi.inner.apiKey) {
    warnings.push('DIFY_AGENT_INNER_API_KEY is ignored: DIFY_AGENT_DIFY_API_INNER_API_KEY is set to another key');
  }
  if (serverSecretKey !== null && stubAddresses(stub) === null) {
    warnings.push(
      'DIFY_AGENT_SERVER_SECRET_KEY is set without DIFY_AGENT_STUB_URL: tokens are accepted, but shell jobs get none',
    );
  }
  return warnings;
}

/** No path: the routes cannot be there. */
function isRoot(url: string): boolean {
  return /^https?:\/\/[^/]*$/.test(url);
}
