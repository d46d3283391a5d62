// What `check` asks of the world outside: do the store, the plugin daemon and shellctl answer, can the certificate be used?
// Nothing is changed there. Who may call is the one finding that needs no asking.

import { errorText } from '../base/errors.ts';
import { VERSION } from '../base/version.ts';
import { accessWarnings } from '../config/access.ts';
import type { PluginDaemonSettings, Settings, ShellctlSettings, TlsSettings } from '../config/settings.ts';
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
    findings.push({ ok: false, text: `plugin daemon: ${shown} does not answer: ${reasonOf(error)}` });
  }
  return findings;
}

/** Whether shellctl answers and takes the token; nothing where none is configured. */
export async function probeShellctl(settings: ShellctlSettings): Promise<readonly Finding[]> {
  const { entrypoint } = settings;
  if (entrypoint === null) return [];
  const { createShellctlClient } = await import('../peers/shellctl/client.ts');
  const shown = maskUrl(entrypoint);
  try {
    const client = createShellctlClient({ ...settings, entrypoint }, { userAgent: `dify-agent/${VERSION}` });
    try {
      // The cheapest call that needs the token.
      await client.list(1, { signal: AbortSignal.timeout(PROBE_MS), owner: 'check' });
      return [{ ok: true, text: `shellctl: ${shown} answers and takes the token` }];
    } finally {
      client.close();
    }
  } catch (error) {
    return [{ ok: false, text: `shellctl: ${shown}: ${reasonOf(error)}` }];
  }
}

function reasonOf(error: unknown): string {
  const late = error instanceof DOMException && error.name === 'TimeoutError';
  const refused = error instanceof Error && 'code' in error && error.code === 'ECONNREFUSED';
  return late ? `no answer within ${PROBE_MS / 1000} s` : refused ? 'connection refused' : errorText(error);
}

/** Who may call, and what is dangerous about it. */
export function accessFindings(settings: Settings): readonly Finding[] {
  const { apiToken, apiTokensPrevious } = settings.access;
  const text =
    apiToken === null
      ? `access: no token, whoever reaches ${settings.host} may call`
      : `access: callers need a token (${1 + apiTokensPrevious.length} accepted)`;
  return [text, ...accessWarnings(settings).map((warning) => `warning: ${warning}`)].map((line) => ({
    ok: true,
    text: line,
  }));
}

/** Whether HTTPS can be served; nothing where it is not wanted. */
export async function probeTls(tls: TlsSettings): Promise<readonly Finding[]> {
  const { readTlsFiles } = await import('../server/tls.ts');
  try {
    const files = readTlsFiles(tls, new Date());
    if (files === null) return [];
    const warnings = files.warnings.map((warning) => ({ ok: true, text: `warning: ${warning}` }));
    return [{ ok: true, text: `tls: ${files.description}` }, ...warnings];
  } catch (error) {
    return [{ ok: false, text: errorText(error) }];
  }
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
