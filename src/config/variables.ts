// Every variable of the environment, declared once, in the shape of the Settings it fills: the place in this tree is the
// key path. A new setting = one field in settings.ts and one declaration here (then `npm run docs`).
// Names, defaults and bounds of the seed variables: spec 01 §7.7, 03 §2.1, 05 §1.

import {
  anyText,
  difyApiBaseUrl,
  grpcBindAddress,
  headerValue,
  httpBaseUrl,
  listenHost,
  optionally,
  redisUrl,
  serverSecretKey,
  storeUrl,
  stubUrl,
} from './formats.ts';
import type { Settings } from './settings.ts';
import { choice, decimal, flag, integer, type Variable, variable } from './variable.ts';

/** What the variables say before load.ts has applied the rules between them. */
export interface RawSettings extends Omit<Settings, 'storeUrl'> {
  readonly storeUrl: string | null;
  readonly redisUrl: string;
}

/** A tree of declarations in the shape of `T`. */
export type VariableTree<T> = {
  readonly [K in keyof T]: T[K] extends object ? VariableTree<T[K]> : Variable<T[K]>;
};

/** The longest time a JavaScript timer can wait: 2^31 − 1 ms, in whole seconds. */
const MAX_TIMER_SECONDS = 2_147_483;
/** The longest retention whose end is still an exact integer of microseconds (2^53) when counted from now. */
const MAX_RETENTION_SECONDS = 7_000_000_000;
/** 32 MiB: a composition with a long history and a few inlined images fits; the reference has no limit. */
const DEFAULT_MAX_REQUEST_BYTES = 33_554_432;
/** A body is held in memory while it is checked. */
const MAX_REQUEST_BYTES = 1_073_741_824;

const seconds = { min: 0, max: MAX_TIMER_SECONDS, unit: 'seconds' } as const;

/** All variables. */
export const variables: VariableTree<RawSettings> = {
  host: variable({
    name: 'DIFY_AGENT_HOST',
    description: 'Address to listen on. `0.0.0.0` or `::` makes the server reachable from other machines.',
    allowed: 'IP address or host name',
    default: '127.0.0.1',
    parse: listenHost,
  }),
  port: integer({
    name: 'DIFY_AGENT_PORT',
    description: 'Port to listen on; `0` takes any free port and logs it.',
    default: 8000,
    min: 0,
    max: 65_535,
  }),
  storeUrl: variable({
    name: 'DIFY_AGENT_STORE_URL',
    description:
      'Where runs and their events are kept. `sqlite:./dify-agent.db` needs no other service. Unset or blank: `DIFY_AGENT_REDIS_URL`.',
    allowed: '`sqlite:PATH`, `sqlite::memory:`, `redis://…` or `rediss://…`',
    default: null,
    url: true,
    parse: optionally(storeUrl),
  }),
  redisUrl: variable({
    name: 'DIFY_AGENT_REDIS_URL',
    description: 'The Redis to use when `DIFY_AGENT_STORE_URL` is unset.',
    allowed: '`redis://…` or `rediss://…`',
    default: 'redis://localhost:6379/0',
    url: true,
    parse: redisUrl,
  }),
  redisPrefix: variable({
    name: 'DIFY_AGENT_REDIS_PREFIX',
    description: 'Prefix of every key in Redis. Servers that share a Redis and a prefix see the same runs.',
    allowed: 'text',
    default: 'dify-agent',
    parse: anyText,
  }),
  runRetentionSeconds: integer({
    name: 'DIFY_AGENT_RUN_RETENTION_SECONDS',
    description: 'How long a run and its events are kept after the last write. The default is three days.',
    default: 259_200,
    min: 1,
    max: MAX_RETENTION_SECONDS,
    unit: 'seconds',
  }),
  storeOutageSeconds: decimal({
    name: 'DIFY_AGENT_STORE_OUTAGE_SECONDS',
    description:
      'How long running runs go on while Redis is away; their events are kept in memory meanwhile. After that they fail with reason `store_unavailable`.',
    default: 30,
    ...seconds,
  }),
  shutdownGraceSeconds: decimal({
    name: 'DIFY_AGENT_SHUTDOWN_GRACE_SECONDS',
    description: 'How long a stopping server waits for running runs before it fails them. Zero or less: not at all.',
    default: 30,
    max: MAX_TIMER_SECONDS,
    unit: 'seconds',
  }),
  pluginDaemon: {
    url: variable({
      name: 'DIFY_AGENT_PLUGIN_DAEMON_URL',
      description: 'Base URL of the Dify plugin daemon, which runs the models and tools.',
      allowed: '`http://…` or `https://…`',
      default: 'http://localhost:5002',
      url: true,
      parse: httpBaseUrl,
    }),
    apiKey: variable({
      name: 'DIFY_AGENT_PLUGIN_DAEMON_API_KEY',
      description: "The daemon's `SERVER_KEY`, sent as `X-Api-Key`. The daemon refuses calls without it.",
      allowed: 'printable ASCII',
      default: '',
      secret: true,
      parse: headerValue,
    }),
    connectTimeoutSeconds: decimal({
      name: 'DIFY_AGENT_PLUGIN_DAEMON_CONNECT_TIMEOUT',
      description: 'How long a connection to the daemon may take, with TLS.',
      default: 10,
      ...seconds,
    }),
    readTimeoutSeconds: decimal({
      name: 'DIFY_AGENT_PLUGIN_DAEMON_READ_TIMEOUT',
      description: 'The longest silence of the daemon during an answer, and before its first byte. Not a total limit.',
      default: 600,
      ...seconds,
    }),
    writeTimeoutSeconds: decimal({
      name: 'DIFY_AGENT_PLUGIN_DAEMON_WRITE_TIMEOUT',
      description:
        'The longest stall while a request is sent to the daemon. Bun does not show that phase: a daemon that does not read is noticed by the read time-out.',
      default: 30,
      ...seconds,
    }),
    poolTimeoutSeconds: decimal({
      name: 'DIFY_AGENT_PLUGIN_DAEMON_POOL_TIMEOUT',
      description: 'How long a call waits for a free connection to the daemon.',
      default: 10,
      ...seconds,
    }),
    maxConnections: integer({
      name: 'DIFY_AGENT_PLUGIN_DAEMON_MAX_CONNECTIONS',
      description: 'Connections to the daemon at once, busy and idle, in the whole process.',
      default: 100,
      min: 1,
      max: 65_535,
    }),
    maxKeepaliveConnections: integer({
      name: 'DIFY_AGENT_PLUGIN_DAEMON_MAX_KEEPALIVE_CONNECTIONS',
      description: 'Idle connections to the daemon that are kept for reuse.',
      default: 20,
      min: 0,
      max: 65_535,
    }),
    keepaliveExpirySeconds: decimal({
      name: 'DIFY_AGENT_PLUGIN_DAEMON_KEEPALIVE_EXPIRY',
      description: 'How long an idle connection to the daemon is kept.',
      default: 30,
      ...seconds,
    }),
  },
  shellctl: {
    entrypoint: variable({
      name: 'DIFY_AGENT_SHELLCTL_ENTRYPOINT',
      description: 'Base URL of shellctl, in whose sandbox the `dify.shell` layer runs commands. Blank: none.',
      allowed: '`http://…` or `https://…`',
      default: null,
      url: true,
      idle: true,
      parse: optionally(httpBaseUrl),
    }),
    authToken: variable({
      name: 'DIFY_AGENT_SHELLCTL_AUTH_TOKEN',
      description: 'Bearer token for shellctl. Blank: none.',
      allowed: 'printable ASCII',
      default: null,
      secret: true,
      idle: true,
      parse: optionally(headerValue),
    }),
  },
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
  logLevel: choice({
    name: 'DIFY_AGENT_LOG_LEVEL',
    description: 'The least severe entries that are logged.',
    default: 'info',
    choices: ['debug', 'info', 'warn', 'error'],
  }),
  logFormat: choice({
    name: 'DIFY_AGENT_LOG_FORMAT',
    description: 'How log entries are written to standard error: `text` for people, `json` for collectors.',
    default: 'text',
    choices: ['text', 'json'],
  }),
  wireVintage: choice({
    name: 'DIFY_AGENT_WIRE_VINTAGE',
    description:
      'Which clients to speak to: `2026-06` keeps what its strict clients accept, `2026-08` adds usage, error types and deltas to events.',
    default: '2026-06',
    choices: ['2026-06', '2026-08'],
  }),
  maxRequestBytes: integer({
    name: 'DIFY_AGENT_MAX_REQUEST_BYTES',
    description: 'The largest request body that is read; a larger one is answered with 413.',
    default: DEFAULT_MAX_REQUEST_BYTES,
    min: 1024,
    max: MAX_REQUEST_BYTES,
    unit: 'bytes',
  }),
  enableScriptedModel: flag({
    name: 'DIFY_AGENT_ENABLE_SCRIPTED_MODEL',
    description:
      'Registers the layer type `test.scripted_llm`, a model that answers what its configuration says. For tests and demonstrations.',
    default: false,
  }),
};

/** The declarations in order, without their tree. */
export function listVariables(): readonly Variable<unknown>[] {
  return flatten(variables);
}

function flatten(tree: object): Variable<unknown>[] {
  return Object.values(tree).flatMap((node: object) => (isVariable(node) ? [node] : flatten(node)));
}

/** Tells a declaration from a branch of the tree. */
export function isVariable(node: object): node is Variable<unknown> {
  return 'parse' in node;
}
