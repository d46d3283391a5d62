// What `check` asks of the world outside: does the store answer, does the plugin daemon? Nothing is changed there.

import { errorText } from '../base/errors.ts';
import type { PluginDaemonSettings, Settings } from '../config/settings.ts';
import { maskUrl } from '../observe/redact.ts';

/** How long a peer may take to answer. */
export const PROBE_MS = 3000;

/** One line of the report. */
export interface Finding {
  readonly ok: boolean;
  readonly text: string;
}

/** Whether the store can be used by a server with these settings. */
export async function probeStore(settings: Settings): Promise<Finding> {
  // Clients of Redis and SQLite are loaded here only: help and version need neither.
  const { probeStore: probe } = await import('../store/open.ts');
  try {
    return { ok: true, text: `store: ${await within(PROBE_MS, probe(settings))}` };
  } catch (error) {
    return { ok: false, text: `store: ${errorText(error)}` };
  }
}

/** Whether anything speaks HTTP at the daemon's URL. The key is not sent: any status counts. */
export async function probeDaemon({ url, apiKey }: PluginDaemonSettings): Promise<readonly Finding[]> {
  const shown = maskUrl(url);
  const findings: Finding[] = [];
  if (apiKey === '') {
    findings.push({
      ok: false,
      text: 'DIFY_AGENT_PLUGIN_DAEMON_API_KEY is empty: the daemon refuses calls without it',
    });
  }
  const target = new URL(url);
  // fetch would send the user info; the probe needs none.
  target.username = '';
  target.password = '';
  try {
    // The daemon is called past any proxy (spec 03 §2.1), so the probe is too.
    const response = await fetch(target, { redirect: 'manual', signal: AbortSignal.timeout(PROBE_MS), proxy: false });
    await response.body?.cancel();
    findings.push({ ok: true, text: `plugin daemon: ${shown} answers (HTTP ${response.status})` });
  } catch (error) {
    const late = error instanceof DOMException && error.name === 'TimeoutError';
    const refused = error instanceof Error && 'code' in error && error.code === 'ECONNREFUSED';
    const why = late ? `no answer within ${PROBE_MS / 1000} s` : refused ? 'connection refused' : errorText(error);
    findings.push({ ok: false, text: `plugin daemon: ${shown} does not answer: ${why}` });
  }
  return findings;
}

async function within<T>(milliseconds: number, work: Promise<T>): Promise<T> {
  let timer: Timer | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${milliseconds / 1000} s`)), milliseconds);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
