// Why a run failed, as a code of a fixed list: for metrics, traces and the log. Not the `reason` of the wire, which names what a
// plugin calls its errors and so has no bound.

import { CodedError } from '../base/errors.ts';
import { ShellctlError } from '../peers/shellctl/port.ts';

/** In docs/metrics.md each has a line. */
export const RUN_REASONS = [
  // The model did not answer: an HTTP error of the daemon or the provider, an error without a status, a wrong configuration,
  // no connection, an answer that cannot be read.
  'model_http_error',
  'model_api_error',
  'model_user_error',
  'model_transport_error',
  'model_protocol_error',
  'scripted_model',
  // The loop could not go on (agent/errors.ts).
  'request_limit',
  'output_retries',
  'tool_retries',
  'token_limit',
  'content_filter',
  'unprocessed_tool_calls',
  'duplicate_tools',
  'too_many_calls',
  'history_too_long',
  'deferred_results',
  // What was asked for cannot be run.
  'invalid_composition',
  'invalid_schema',
  // The sandbox.
  'shellctl',
  'workspace_busy',
  'workspace_creation_failed',
  'workspace_bootstrap_failed',
  'workspace_removal_failed',
  // The run was ended from outside.
  'run_timeout',
  'shutdown',
  'store_unavailable',
  'event_too_large',
  'worker_lost',
  // Nothing was written: somebody else has ended the run, or the store took nothing to the end.
  'unwritten',
  // Another expected failure, and an unexpected one.
  'error',
  'internal',
] as const;

export type RunReason = (typeof RUN_REASONS)[number];

const KNOWN: ReadonlySet<string> = new Set(RUN_REASONS);

/** The reason of a run that this made fail. */
export function reasonOf(error: unknown): RunReason {
  if (error instanceof ShellctlError) return 'shellctl'; // its code is the server's own word
  if (!(error instanceof CodedError)) return 'internal';
  return isReason(error.code) ? error.code : 'error';
}

function isReason(code: string): code is RunReason {
  return KNOWN.has(code);
}
