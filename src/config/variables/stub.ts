// Variables of the Agent Stub: what sandboxes may ask, and the Dify API behind it, declared in the shape of the Settings that they fill (settings.ts). variables.ts puts the groups together.

import {
  difyApiBaseUrl,
  fileName,
  grpcBindAddress,
  headerValue,
  innerApiUrl,
  list,
  optionally,
  serverSecretKey,
  stubApiBaseUrl,
  stubUrl,
} from '../formats.ts';
import type { Settings } from '../settings.ts';
import { INNER_API_URL_DEFAULT } from '../stub.ts';
import { bad, decimal, integer, type Parsed, SECONDS, type VariableTree, variable } from '../variable.ts';

type StubSettings = Pick<Settings, 'stub' | 'difyApi' | 'serverSecretKey' | 'serverSecretKeysPrevious'>;

/** Ten years: a token's end stays a sane number. */
const MAX_TOKEN_TTL_SECONDS = 315_360_000;

export const stubVariables: VariableTree<StubSettings> = {
  stub: {
    url: variable({
      name: 'DIFY_AGENT_STUB_URL',
      description:
        'The Agent Stub as sandboxes reach it, e.g. `https://agent.example.com/agent-stub` or `grpc://agent.example.com:9091`. Needs `DIFY_AGENT_SERVER_SECRET_KEY`. Blank: none.',
      allowed: '`http://…`, `https://…` or `grpc://host:port`',
      default: null,
      url: true,
      parse: optionally(stubUrl),
    }),
    apiBaseUrl: variable({
      name: 'DIFY_AGENT_STUB_API_BASE_URL',
      description:
        'The same under its later name: a path other than `/agent-stub` is refused, and it is added where there is none. Both may be set, e.g. this one to HTTP and the other to gRPC. Blank: none.',
      allowed: '`http://…`, `https://…` or `grpc://host:port`',
      default: null,
      url: true,
      parse: optionally(stubApiBaseUrl),
    }),
    grpcBindAddress: variable({
      name: 'DIFY_AGENT_STUB_GRPC_BIND_ADDRESS',
      description:
        'Where the gRPC Agent Stub listens when that differs from `0.0.0.0` and the port of the `grpc://` URL. Blank: no difference.',
      allowed: '`host:port`',
      default: null,
      parse: optionally(grpcBindAddress),
    }),
    grpcTls: {
      certFile: variable({
        name: 'DIFY_AGENT_STUB_GRPC_TLS_CERT',
        description:
          'File with the certificate chain of the gRPC Agent Stub in PEM. Set together with `DIFY_AGENT_STUB_GRPC_TLS_KEY`. Blank: plaintext.',
        allowed: 'path',
        default: null,
        parse: optionally(fileName),
      }),
      keyFile: variable({
        name: 'DIFY_AGENT_STUB_GRPC_TLS_KEY',
        description: 'File with the private key of the gRPC Agent Stub in PEM. Blank: plaintext.',
        allowed: 'path',
        default: null,
        parse: optionally(fileName),
      }),
    },
    tokenTtlSeconds: integer({
      name: 'DIFY_AGENT_STUB_TOKEN_TTL_SECONDS',
      description:
        "How long the token of a shell job is accepted at most; it ends with its run where that is known. Must be longer than the longest job. The default is the reference's: a day.",
      default: 86_400,
      min: 1,
      max: MAX_TOKEN_TTL_SECONDS,
      unit: 'seconds',
    }),
    rateLimitPerSecond: decimal({
      name: 'DIFY_AGENT_STUB_RATE_LIMIT',
      description:
        'How many requests per second the holder of one token may make on average; ten seconds of it may come at once. More are answered with 429 and `Retry-After`. `0`: no limit.',
      default: 100,
      min: 0,
      max: 1_000_000,
    }),
  },
  difyApi: {
    baseUrl: variable({
      name: 'DIFY_AGENT_DIFY_API_BASE_URL',
      description: 'Base URL of the Dify API, for what sandboxes ask of files, drive and configuration. Blank: none.',
      allowed: '`http://…` or `https://…`',
      default: null,
      url: true,
      parse: optionally(difyApiBaseUrl),
    }),
    innerApiKey: variable({
      name: 'DIFY_AGENT_DIFY_API_INNER_API_KEY',
      description: "The Dify API's inner API key. Set together with `DIFY_AGENT_DIFY_API_BASE_URL`. Blank: none.",
      allowed: 'printable ASCII',
      default: null,
      secret: true,
      parse: optionally(headerValue),
    }),
    inner: {
      url: variable({
        name: 'DIFY_AGENT_INNER_API_URL',
        description:
          'The later name of `DIFY_AGENT_DIFY_API_BASE_URL`. Counts when `DIFY_AGENT_INNER_API_KEY` is set, and only where the other name is not.',
        allowed: '`http://…` or `https://…`',
        default: INNER_API_URL_DEFAULT,
        url: true,
        parse: innerApiUrl,
      }),
      apiKey: variable({
        name: 'DIFY_AGENT_INNER_API_KEY',
        description: 'The later name of `DIFY_AGENT_DIFY_API_INNER_API_KEY`. Blank: none.',
        allowed: 'printable ASCII',
        default: null,
        secret: true,
        parse: optionally(headerValue),
      }),
    },
    connectTimeoutSeconds: decimal({
      name: 'DIFY_AGENT_DIFY_API_CONNECT_TIMEOUT',
      aliases: ['DIFY_AGENT_OUTBOUND_HTTP_CONNECT_TIMEOUT'],
      description: 'How long a connection to the Dify API may take, with TLS.',
      default: 10,
      ...SECONDS,
    }),
    readTimeoutSeconds: decimal({
      name: 'DIFY_AGENT_DIFY_API_READ_TIMEOUT',
      aliases: ['DIFY_AGENT_OUTBOUND_HTTP_READ_TIMEOUT'],
      description: 'The longest silence of the Dify API before and during an answer about drive or configuration.',
      default: 600,
      ...SECONDS,
    }),
    poolTimeoutSeconds: decimal({
      name: 'DIFY_AGENT_DIFY_API_POOL_TIMEOUT',
      aliases: ['DIFY_AGENT_OUTBOUND_HTTP_POOL_TIMEOUT'],
      description: 'How long a call waits for a free connection to the Dify API.',
      default: 10,
      ...SECONDS,
    }),
    fileTimeoutSeconds: decimal({
      name: 'DIFY_AGENT_DIFY_API_FILE_TIMEOUT',
      description: 'How long the Dify API may take for one upload or download request in all.',
      default: 30,
      ...SECONDS,
    }),
    maxConnections: integer({
      name: 'DIFY_AGENT_DIFY_API_MAX_CONNECTIONS',
      description: 'Calls to the Dify API at once in the whole process; further ones wait their turn.',
      default: 32,
      min: 1,
      max: 65_535,
    }),
  },
  serverSecretKey: variable({
    name: 'DIFY_AGENT_SERVER_SECRET_KEY',
    description:
      'The key of the tokens that sandboxes get. The same on every server that shares sandboxes. Blank: none.',
    allowed: 'unpadded base64url of 32 bytes (43 characters)',
    default: null,
    secret: true,
    parse: optionally(serverSecretKey),
  }),
  serverSecretKeysPrevious: variable({
    name: 'DIFY_AGENT_SERVER_SECRET_KEY_PREVIOUS',
    description:
      'Keys whose tokens are still accepted, separated by commas, after `DIFY_AGENT_SERVER_SECRET_KEY` changed.',
    allowed: 'keys separated by commas',
    default: [],
    secret: true,
    parse: previousKeys,
  }),
};

/** The seed's messages name the variable of the current key: here it is another one. */
function previousKeys(text: string): Parsed<readonly string[]> {
  const result = list(serverSecretKey)(text);
  if (result.ok) return result;
  return bad(result.problem.replace('DIFY_AGENT_SERVER_SECRET_KEY must', 'each key must'));
}
