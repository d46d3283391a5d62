// Looks whether a Redis answers. The Redis store itself is not written yet (issue REDIS): this exists so that a server whose
// settings point at Redis, as the reference's defaults do, says in one line what to do instead.

import type { Settings } from '../config/settings.ts';
import { StoreOpenError } from './errors.ts';

/** How long a Redis may take to connect and answer PING. */
export const REDIS_DEADLINE_MS = 3_000;

/** What the operator can do without Redis. */
const ADVICE = 'to run without Redis set DIFY_AGENT_STORE_URL=sqlite:./dify-agent.db';

/**
 * Connects and pings.
 * @throws StoreOpenError `store_unreachable` when it does not answer in time, `store_url_invalid` for a URL that node-redis refuses.
 */
export async function probeRedis(
  settings: Pick<Settings, 'storeUrl'>,
  deadlineMs: number = REDIS_DEADLINE_MS,
): Promise<void> {
  const host = redisHost(settings.storeUrl);
  const { createClient, ErrorReply } = await import('redis');
  let client: ReturnType<typeof createClient>;
  try {
    client = createClient({
      url: settings.storeUrl,
      socket: { connectTimeout: deadlineMs, reconnectStrategy: false },
      disableOfflineQueue: true,
    });
  } catch (error) {
    throw new StoreOpenError('store_url_invalid', `DIFY_AGENT_REDIS_URL: not a Redis URL; ${ADVICE}`, { cause: error });
  }
  // Without a listener an error event would end the process; what matters arrives as a rejection.
  client.on('error', () => {});
  let timer: ReturnType<typeof setTimeout> | undefined;
  const deadline = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${deadlineMs} ms`)), deadlineMs);
  });
  try {
    await Promise.race([client.connect().then(() => client.ping()), deadline]);
  } catch (error) {
    // A reply is an answer: WRONGPASS, NOAUTH, LOADING.
    const problem = error instanceof ErrorReply ? `refuses: ${error.message}` : 'does not answer';
    throw new StoreOpenError('store_unreachable', `DIFY_AGENT_REDIS_URL: Redis at ${host} ${problem}; ${ADVICE}`, {
      cause: error,
    });
  } finally {
    clearTimeout(timer);
    client.destroy();
  }
}

/** Redis answers, but this version cannot use it. */
export function redisUnsupported(settings: Pick<Settings, 'storeUrl'>): StoreOpenError {
  return new StoreOpenError(
    'store_unsupported',
    `DIFY_AGENT_REDIS_URL: Redis at ${redisHost(settings.storeUrl)} answers, but this version has no Redis store yet; ${ADVICE}`,
  );
}

/** `host:port` without credentials. */
function redisHost(url: string): string {
  const parsed = URL.canParse(url) ? new URL(url) : null;
  if (parsed === null || parsed.hostname === '') {
    throw new StoreOpenError('store_url_invalid', `DIFY_AGENT_REDIS_URL: not a Redis URL; ${ADVICE}`);
  }
  return `${parsed.hostname}:${parsed.port === '' ? '6379' : parsed.port}`;
}
