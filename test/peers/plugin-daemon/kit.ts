// What the tests of the plugin daemon's client share: a client for a fake daemon, a call, a way to collect a stream.

import type { PluginDaemonSettings } from '../../../src/config/settings.ts';
import {
  createPluginDaemonClient,
  type DaemonCall,
  type PluginDaemonClient,
} from '../../../src/peers/plugin-daemon/client.ts';

/** Settings with the reference's defaults, but short enough time-outs for tests that want them. */
export function daemonSettings(url: string, changes: Partial<PluginDaemonSettings> = {}): PluginDaemonSettings {
  return {
    url,
    apiKey: 'golden-daemon-key',
    connectTimeoutSeconds: 10,
    readTimeoutSeconds: 600,
    writeTimeoutSeconds: 30,
    poolTimeoutSeconds: 10,
    requestTimeoutSeconds: null,
    maxConnections: 100,
    maxKeepaliveConnections: 20,
    keepaliveExpirySeconds: 30,
    ...changes,
  };
}

/** A client for a daemon at this URL. */
export function clientFor(url: string, changes: Partial<PluginDaemonSettings> = {}): PluginDaemonClient {
  return createPluginDaemonClient(daemonSettings(url, changes), { userAgent: 'dify-agent/test' });
}

/** A model call that the strict fake accepts. */
export function llmCall(changes: Partial<DaemonCall> = {}): DaemonCall {
  return {
    kind: 'llm',
    tenantId: 'tenant-1',
    pluginId: 'langgenius/openai',
    userId: 'user-1',
    owner: 'run',
    data: {
      provider: 'openai',
      model_type: 'llm',
      model: 'gpt-4o-mini',
      credentials: {},
      prompt_messages: [],
      model_parameters: {},
      tools: null,
      stop: null,
      stream: true,
    },
    ...changes,
  };
}

/** A signal that nobody aborts. */
export function quiet(): AbortSignal {
  return new AbortController().signal;
}

/** Everything a stream yielded, and what it threw (null: it ended). */
export async function collect<T>(
  stream: AsyncIterable<readonly T[]>,
): Promise<{ readonly items: readonly T[]; readonly error: unknown }> {
  const items: T[] = [];
  try {
    for await (const batch of stream) items.push(...batch);
    return { items, error: null };
  } catch (error) {
    return { items, error };
  }
}

/** The message of what was thrown, or `no error`. */
export function textOf(error: unknown): string {
  return error instanceof Error ? error.message : error === null ? 'no error' : String(error);
}
