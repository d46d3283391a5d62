// What `check` asks of the world outside: do the store, the plugin daemon, shellctl and the Dify API answer, can the certificate
// be used and the address of gRPC be bound? Nothing is changed there. Who may call is the one finding that needs no asking.

import { errorText } from '../base/errors.ts';
import { VERSION } from '../base/version.ts';
import { accessWarnings } from '../config/access.ts';
import type {
  DifyApiSettings,
  PluginDaemonSettings,
  Settings,
  ShellctlSettings,
  StubSettings,
  TlsSettings,
} from '../config/settings.ts';
import { difyApiAddress, stubAddresses } from '../config/stub.ts';
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
  const findings: Finding[] = [];
  if (apiKey === '') {
    findings.push({
      ok: false,
      text: 'DIFY_AGENT_PLUGIN_DAEMON_API_KEY is empty: the daemon refuses calls without it',
    });
  }
  return [...findings, await probeHttp('plugin daemon', url)];
}

/** Whether anything speaks HTTP at the Dify API's URL, as above; nothing where none is configured. */
export async function probeDifyApi(settings: DifyApiSettings): Promise<readonly Finding[]> {
  const address = difyApiAddress(settings);
  return address === null ? [] : [await probeHttp('Dify API', address.baseUrl)];
}

/** Asks for the URL itself, without key and user info: any status is an answer. */
async function probeHttp(name: string, url: string): Promise<Finding> {
  const shown = maskUrl(url);
  const target = new URL(url);
  target.username = '';
  target.password = '';
  try {
    // Peers are called past any proxy (spec 03 §2.1), so the probe is too.
    const response = await fetch(target, { redirect: 'manual', signal: AbortSignal.timeout(PROBE_MS), proxy: false });
    await response.body?.cancel();
    return { ok: true, text: `${name}: ${shown} answers (HTTP ${response.status})` };
  } catch (error) {
    return { ok: false, text: `${name}: ${shown} does not answer: ${reasonOf(error)}` };
  }
}

/** Whether the gRPC service of the Agent Stub could listen; nothing where no URL of it is `grpc://`. */
export async function probeGrpcBind(settings: StubSettings): Promise<readonly Finding[]> {
  const publicUrl = stubAddresses(settings)?.grpcUrl ?? null;
  if (publicUrl === null) return [];
  const { bindAddress } = await import('../stub/grpc/bind.ts');
  const address = bindAddress(publicUrl, settings.grpcBindAddress);
  try {
    await bindOnce(address);
    return [{ ok: true, text: `agent stub: gRPC can listen on ${address}` }];
  } catch (error) {
    return [{ ok: false, text: `agent stub: gRPC cannot listen on ${address}: ${reasonOf(error)}` }];
  }
}

/** Takes an address for a moment. @throws what the system says */
async function bindOnce(address: string): Promise<void> {
  const { createServer } = await import('node:net');
  const colon = address.lastIndexOf(':');
  const host = address.slice(0, colon).replace(/^\[(.*)\]$/, '$1');
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const server = createServer();
  server.on('error', reject);
  server.listen({ host, port: Number(address.slice(colon + 1)), exclusive: true }, resolve);
  try {
    await within(PROBE_MS, promise);
  } finally {
    // Resolves also where nothing was bound.
    await new Promise((closed) => server.close(closed));
  }
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

const REASONS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused',
  EADDRINUSE: 'another process listens there (a running server?)',
  EADDRNOTAVAIL: 'this machine has no such address',
  EACCES: 'permission denied',
};

function reasonOf(error: unknown): string {
  const late = error instanceof DOMException && error.name === 'TimeoutError';
  if (late) return `no answer within ${PROBE_MS / 1000} s`;
  const code = error instanceof Error && 'code' in error ? error.code : null;
  return (typeof code === 'string' ? REASONS[code] : undefined) ?? errorText(error);
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
