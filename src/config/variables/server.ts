// Variables of the HTTP server: where it listens, who may call, how much it takes, what it logs, declared in the shape of
// the Settings that they fill (settings.ts). variables.ts puts the groups together; the rules between them: ../access.ts.

import { fileName, headerValue, list, listenHost, optionally, origin } from '../formats.ts';
import type { Settings } from '../settings.ts';
import { choice, flag, integer, type VariableTree, variable } from '../variable.ts';

/** 32 MiB: a composition with a long history and a few inlined images fits; the reference has no limit. */
const DEFAULT_MAX_REQUEST_BYTES = 33_554_432;
/** A body is held in memory while it is checked. */
const MAX_REQUEST_BYTES = 1_073_741_824;
/** Eight of the largest bodies. */
const DEFAULT_MAX_PENDING_REQUEST_BYTES = 268_435_456;

type ServerSettings = Pick<
  Settings,
  | 'host'
  | 'port'
  | 'access'
  | 'tls'
  | 'corsOrigins'
  | 'logLevel'
  | 'logFormat'
  | 'wireVintage'
  | 'maxRequestBytes'
  | 'maxPendingRequestBytes'
>;

export const serverVariables: VariableTree<ServerSettings> = {
  host: variable({
    name: 'DIFY_AGENT_HOST',
    description:
      'Address to listen on. `0.0.0.0` or `::` makes the server reachable from other machines, which needs `DIFY_AGENT_API_TOKEN`.',
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
  access: {
    apiToken: variable({
      name: 'DIFY_AGENT_API_TOKEN',
      aliases: ['DIFY_AGENT_RUN_API_TOKEN'],
      description:
        'What callers must send as `Authorization: Bearer …`, or as the password of HTTP Basic, for everything but probes and documentation. Blank: everybody may call.',
      allowed: 'printable ASCII',
      default: null,
      secret: true,
      parse: optionally(headerValue),
    }),
    apiTokensPrevious: variable({
      name: 'DIFY_AGENT_API_TOKEN_PREVIOUS',
      description: 'Tokens that are still accepted, separated by commas, while callers move to a new one.',
      allowed: 'printable ASCII, separated by commas',
      default: [],
      secret: true,
      parse: list(headerValue),
    }),
    allowAnonymous: flag({
      name: 'DIFY_AGENT_ALLOW_ANONYMOUS',
      description:
        'Allows to listen on an address that other machines can reach without `DIFY_AGENT_API_TOKEN`. Without it such a start is refused. For private networks.',
      default: false,
    }),
  },
  tls: {
    certFile: variable({
      name: 'DIFY_AGENT_TLS_CERT',
      description:
        'File with the certificate chain in PEM. Set together with `DIFY_AGENT_TLS_KEY`; the server then speaks HTTPS. Blank: HTTP.',
      allowed: 'path',
      default: null,
      parse: optionally(fileName),
    }),
    keyFile: variable({
      name: 'DIFY_AGENT_TLS_KEY',
      description: 'File with the private key in PEM. Blank: HTTP.',
      allowed: 'path',
      default: null,
      parse: optionally(fileName),
    }),
  },
  corsOrigins: variable({
    name: 'DIFY_AGENT_CORS_ORIGINS',
    description:
      'Origins whose pages may call the API from a browser, separated by commas, e.g. `https://app.example.com`; `*`: any. Blank: none.',
    allowed: 'origins separated by commas, or `*`',
    default: [],
    parse: list(origin),
  }),
  maxRequestBytes: integer({
    name: 'DIFY_AGENT_MAX_REQUEST_BYTES',
    description: 'The largest request body that is read; a larger one is answered with 413.',
    default: DEFAULT_MAX_REQUEST_BYTES,
    min: 1024,
    max: MAX_REQUEST_BYTES,
    unit: 'bytes',
  }),
  maxPendingRequestBytes: integer({
    name: 'DIFY_AGENT_MAX_PENDING_REQUEST_BYTES',
    description:
      'How much memory the request bodies that are being received may take, all together; beyond it requests are answered with 503. At least `DIFY_AGENT_MAX_REQUEST_BYTES`.',
    default: DEFAULT_MAX_PENDING_REQUEST_BYTES,
    min: 1024,
    max: 64 * MAX_REQUEST_BYTES,
    unit: 'bytes',
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
};
