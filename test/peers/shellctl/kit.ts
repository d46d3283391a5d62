// What the tests of the shellctl client share: a client for a fake (or a real) server, a call that nobody aborts, and what an
// error says.

import { createShellctlClient, type LoadedShellctlClient } from '../../../src/peers/shellctl/client.ts';
import type { ShellctlAddress, ShellctlTiming } from '../../../src/peers/shellctl/connection.ts';
import { type CallOptions, type RunJob, ShellctlError } from '../../../src/peers/shellctl/port.ts';

/** A client for a server. */
export function clientFor(
  server: { readonly url: string; readonly token: string },
  changes: Partial<ShellctlAddress> & { readonly timing?: Partial<ShellctlTiming> } = {},
): LoadedShellctlClient {
  const { timing = {}, ...address } = changes;
  return createShellctlClient(
    { entrypoint: server.url, authToken: server.token, maxConnections: 64, ...address },
    { userAgent: 'dify-agent/test', timing },
  );
}

/** A call that is not aborted. */
export function quietCall(owner: unknown = 'run'): CallOptions {
  return { signal: new AbortController().signal, owner };
}

/** A job with the reference client's options. */
export function job(script: string, changes: Partial<RunJob> = {}): RunJob {
  return { script, cwd: null, env: null, timeoutSeconds: 30, outputLimit: 8192, ...changes };
}

/** The ShellctlError that a call rejects with. */
export async function errorOf(promise: Promise<unknown>): Promise<ShellctlError> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof ShellctlError) return error;
    throw error;
  }
  throw new Error('nothing was wrong');
}
