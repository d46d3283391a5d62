// Variables of looking at the server: metrics, the list of runs, the console, and how long managed sessions live.
// Traces have their own file. variables.ts puts the groups together.

import type { RawSettings } from '../raw.ts';
import { flag, integer, MAX_TIMER_SECONDS, optionalFlag, type VariableTree } from '../variable.ts';

type ObserveSettings = Pick<RawSettings, 'metricsEnabled' | 'runIndexEnabled' | 'consoleEnabled' | 'managedSessions'>;

export const observeVariables: VariableTree<ObserveSettings> = {
  metricsEnabled: flag({
    name: 'DIFY_AGENT_METRICS_ENABLED',
    description: 'Whether `/metrics` answers with what the server measures, for Prometheus.',
    default: true,
  }),
  runIndexEnabled: optionalFlag({
    name: 'DIFY_AGENT_RUN_INDEX_ENABLED',
    description:
      'Whether `GET /runs` lists the runs of a Redis store, from an index beside the keys of the runs. Unset: only with SQLite, which needs no such index.',
  }),
  consoleEnabled: flag({
    name: 'DIFY_AGENT_CONSOLE_ENABLED',
    description: 'Whether the console, a page to look at runs and to start them, is served at `/console`.',
    default: true,
  }),
  managedSessions: {
    ttlSeconds: integer({
      name: 'DIFY_AGENT_SESSION_TTL_SECONDS',
      description:
        'How long a session that the server keeps (`X-Agent-Session`) lives without being used; then it is cleaned up: its layers are deleted, with their workspaces.',
      default: 604_800,
      min: 1,
      max: MAX_TIMER_SECONDS * 10,
      unit: 'seconds',
    }),
    maxBytes: integer({
      name: 'DIFY_AGENT_SESSION_MAX_BYTES',
      description: 'How large the snapshot of a session may be that the server keeps.',
      default: 8_388_608,
      min: 1024,
      max: 268_435_456,
      unit: 'bytes',
    }),
  },
};
