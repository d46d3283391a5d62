// Where the Agent Stub is and what opens it, from the environment that a shell job was given (spec 05 §3, §8).

import { stubUrl } from '../config/formats.ts';
import { SandboxEnvironmentError } from './errors.ts';

/** The stub as this process sees it. */
export interface StubAccess {
  /** `https://host/agent-stub`, without trailing `/`; or `grpc://host:port`. */
  readonly url: string;
  readonly transport: 'http' | 'grpc';
  /** Secret. */
  readonly token: string;
}

/** The token of a shell job; in the environment it makes the executable the sandbox's tool. */
export const TOKEN_VARIABLE = 'DIFY_AGENT_STUB_AUTH_JWE';
/** The newer name comes first: it always speaks HTTP, which can do everything. */
const URL_VARIABLES = ['DIFY_AGENT_STUB_API_BASE_URL', 'DIFY_AGENT_STUB_URL'] as const;

/** Longer than any token (spec 05 §12.1). */
const MAX_TOKEN_CHARS = 8_192;

/** @throws SandboxEnvironmentError with the texts of spec 05 §8. */
export function readStubAccess(env: Readonly<Record<string, string | undefined>>): StubAccess {
  const token = env[TOKEN_VARIABLE]?.trim() ?? '';
  const variable = URL_VARIABLES.find((name) => (env[name]?.trim() ?? '') !== '');
  const missing = [
    ...(variable === undefined ? ['DIFY_AGENT_STUB_URL'] : []),
    ...(token === '' ? [TOKEN_VARIABLE] : []),
  ];
  if (variable === undefined || token === '') {
    const names = missing.join(', ');
    throw new SandboxEnvironmentError(
      'environment_missing',
      `missing required Agent Stub environment variables: ${names}`,
    );
  }
  if (token.length > MAX_TOKEN_CHARS || !/^[\x21-\x7e]+$/.test(token)) {
    throw new SandboxEnvironmentError('environment_invalid', `invalid ${TOKEN_VARIABLE}: not a token`);
  }
  const parsed = stubUrl(env[variable]?.trim() ?? '');
  if (!parsed.ok) {
    throw new SandboxEnvironmentError('environment_invalid', `invalid ${variable}: ${parsed.problem}`);
  }
  const url = parsed.value;
  if (url.startsWith('grpc:')) return { url, transport: 'grpc', token };
  // A bare origin cannot be meant: the routes are under this path (spec 05 §12.15).
  const bare = /^[a-z]+:\/\/[^/]*$/i.test(url);
  return { url: bare ? `${url}/agent-stub` : url, transport: 'http', token };
}
