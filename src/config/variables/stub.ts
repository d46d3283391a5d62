// Variables of the Agent Stub: what sandboxes may ask, and the Dify API behind it, declared in the shape of the Settings that they fill (settings.ts). variables.ts puts the groups together.

import {
  difyApiBaseUrl,
  grpcBindAddress,
  headerValue,
  list,
  optionally,
  serverSecretKey,
  stubUrl,
} from '../formats.ts';
import type { Settings } from '../settings.ts';
import { type VariableTree, variable } from '../variable.ts';

type StubSettings = Pick<Settings, 'stub' | 'difyApi' | 'serverSecretKey' | 'serverSecretKeysPrevious'>;

export const stubVariables: VariableTree<StubSettings> = {
  stub: {
    url: variable({
      name: 'DIFY_AGENT_STUB_URL',
      description:
        'The Agent Stub as sandboxes reach it, e.g. `https://agent.example.com/agent-stub` or `grpc://agent.example.com:9091`. Needs `DIFY_AGENT_SERVER_SECRET_KEY`. Blank: none.',
      allowed: '`http://…`, `https://…` or `grpc://host:port`',
      default: null,
      url: true,
      idle: true,
      parse: optionally(stubUrl),
    }),
    grpcBindAddress: variable({
      name: 'DIFY_AGENT_STUB_GRPC_BIND_ADDRESS',
      description:
        'Where the gRPC Agent Stub listens when that differs from `0.0.0.0` and the port of `DIFY_AGENT_STUB_URL`. Blank: no difference.',
      allowed: '`host:port`',
      default: null,
      idle: true,
      parse: optionally(grpcBindAddress),
    }),
  },
  difyApi: {
    baseUrl: variable({
      name: 'DIFY_AGENT_DIFY_API_BASE_URL',
      description: 'Base URL of the Dify API, for the file requests of sandboxes. Blank: none.',
      allowed: '`http://…` or `https://…`',
      default: null,
      url: true,
      idle: true,
      parse: optionally(difyApiBaseUrl),
    }),
    innerApiKey: variable({
      name: 'DIFY_AGENT_DIFY_API_INNER_API_KEY',
      description: "The Dify API's inner API key. Set together with `DIFY_AGENT_DIFY_API_BASE_URL`. Blank: none.",
      allowed: 'printable ASCII',
      default: null,
      secret: true,
      idle: true,
      parse: optionally(headerValue),
    }),
  },
  serverSecretKey: variable({
    name: 'DIFY_AGENT_SERVER_SECRET_KEY',
    description: 'The key of the tokens that sandboxes get. Blank: none.',
    allowed: 'unpadded base64url of 32 bytes (43 characters)',
    default: null,
    secret: true,
    idle: true,
    parse: optionally(serverSecretKey),
  }),
  serverSecretKeysPrevious: variable({
    name: 'DIFY_AGENT_SERVER_SECRET_KEY_PREVIOUS',
    description:
      'Keys whose tokens are still accepted, separated by commas, after `DIFY_AGENT_SERVER_SECRET_KEY` changed.',
    allowed: 'keys separated by commas',
    default: [],
    secret: true,
    idle: true,
    parse: list(serverSecretKey),
  }),
};
