// Variables of the peers of runs: the plugin daemon and shellctl, declared in the shape of the Settings that they fill (settings.ts). variables.ts puts the groups together.

import { headerValue, httpBaseUrl, optionally, patternList } from '../formats.ts';
import type { Settings } from '../settings.ts';
import {
  decimal,
  integer,
  MAX_TIMER_SECONDS,
  optionalDecimal,
  SECONDS,
  type VariableTree,
  variable,
} from '../variable.ts';

export const peerVariables: VariableTree<Pick<Settings, 'pluginDaemon' | 'shellctl'>> = {
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
      ...SECONDS,
    }),
    readTimeoutSeconds: decimal({
      name: 'DIFY_AGENT_PLUGIN_DAEMON_READ_TIMEOUT',
      description: 'The longest silence of the daemon during an answer, and before its first byte. Not a total limit.',
      default: 600,
      ...SECONDS,
    }),
    writeTimeoutSeconds: decimal({
      name: 'DIFY_AGENT_PLUGIN_DAEMON_WRITE_TIMEOUT',
      description:
        'The longest stall while a request is sent to the daemon. Bun does not show that phase: a daemon that does not read is noticed by the read time-out.',
      default: 30,
      ...SECONDS,
    }),
    poolTimeoutSeconds: decimal({
      name: 'DIFY_AGENT_PLUGIN_DAEMON_POOL_TIMEOUT',
      description: 'How long a call waits for a free connection to the daemon.',
      default: 10,
      ...SECONDS,
    }),
    requestTimeoutSeconds: optionalDecimal({
      name: 'DIFY_AGENT_PLUGIN_DAEMON_REQUEST_TIMEOUT',
      description:
        'How long one call of a model or tool may take in all; waiting for a connection does not count. Unset: as long as the daemon is not silent.',
      min: 0.001,
      max: MAX_TIMER_SECONDS,
      unit: 'seconds',
    }),
    maxConnections: integer({
      name: 'DIFY_AGENT_PLUGIN_DAEMON_MAX_CONNECTIONS',
      description:
        'Connections to the daemon at once, busy and idle, in the whole process. One run leaves an eighth of them to the others.',
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
      ...SECONDS,
    }),
  },
  shellctl: {
    entrypoint: variable({
      name: 'DIFY_AGENT_SHELLCTL_ENTRYPOINT',
      aliases: ['DIFY_AGENT_LOCAL_SANDBOX_ENDPOINT'],
      description: 'Base URL of shellctl, in whose sandbox the `dify.shell` layer runs commands. Blank: none.',
      allowed: '`http://…` or `https://…`',
      default: null,
      url: true,
      parse: optionally(httpBaseUrl),
    }),
    authToken: variable({
      name: 'DIFY_AGENT_SHELLCTL_AUTH_TOKEN',
      aliases: ['DIFY_AGENT_LOCAL_SANDBOX_AUTH_TOKEN'],
      description: 'Bearer token for shellctl. Blank: none.',
      allowed: 'printable ASCII',
      default: null,
      secret: true,
      parse: optionally(headerValue),
    }),
    maxConnections: integer({
      name: 'DIFY_AGENT_SHELLCTL_MAX_CONNECTIONS',
      description: 'Calls to shellctl at once in the whole process; further ones wait their turn.',
      default: 64,
      min: 1,
      max: 65_535,
    }),
    bootstrapTimeoutSeconds: decimal({
      name: 'DIFY_AGENT_SHELL_BOOTSTRAP_TIMEOUT_SECONDS',
      description: 'How long the install commands of a `dify.shell` layer may take when its workspace is made.',
      default: 300,
      ...SECONDS,
    }),
    redactPatterns: variable({
      name: 'DIFY_AGENT_SHELL_REDACT_PATTERNS',
      description:
        'Regular expressions (RE2) whose matches are masked in what the model sees of shell output, as a JSON array of strings. Blank: none.',
      allowed: 'JSON array of regular expressions',
      default: [],
      parse: patternList,
    }),
  },
};
