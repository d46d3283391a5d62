// Starting on a Redis: what the server needs of it, how it says what is wrong, and that it never repeats a password.

import { describe, expect, test } from 'bun:test';
import { join } from 'node:path';
import { startCuttingProxy } from '../fakes/cutting-proxy.ts';
import { documentedUser } from '../support/acl.ts';
import { refusal, runToExit } from '../support/exit.ts';
import { follow } from '../support/patient-client.ts';
import { type RedisProcess, withRedis } from '../support/redis-process.ts';
import { createRun, get, runToEnd, scripted } from '../support/runs.ts';
import { type TestServer, withFolder, withServer } from '../support/server.ts';

const SECRET = 's3cr3t-of-redis';
/** A refusal comes within the deadline of the connection, and some for a slow machine. */
const DEADLINE_MS = 8_000;

/** The line of a server that cannot use this Redis; it came in time and repeats no password. */
async function cannotUse(
  where: string | Readonly<Record<string, string>>,
  ...mentions: readonly (string | RegExp)[]
): Promise<void> {
  const started = performance.now();
  const env = typeof where === 'string' ? { DIFY_AGENT_STORE_URL: where } : where;
  const line = await refusal({ env }, ...mentions);
  expect(performance.now() - started).toBeLessThan(DEADLINE_MS);
  expect(line).not.toContain(SECRET);
}

/** A whole run through a server on this Redis, read here and through a second server. */
async function works(env: Readonly<Record<string, string>>): Promise<void> {
  await withServer({ env }, async (server) => {
    expect((await runToEnd(server.url, scripted([[{ text: 'fine' }]]))).terminal.output).toBe('fine');
    await withServer({ env }, async (other) => {
      const runId = await createRun(server.url, scripted([[{ text: 'a' }, { text: 'b', delay_ms: 200 }]]));
      expect((await follow(other.url, runId)).frames.at(-1)?.event).toBe('run_succeeded');
      expect((await get(`${other.url}/runs/${runId}/events?limit=1`)).status).toBe(200);
      for (const used of [server, other]) expectCleanLog(used);
    });
  });
  const { stdout } = await runToExit({ args: ['check'], env });
  expect(stdout.find((line) => line.includes('store:'))).toStartWith('  ok');
  expect(stdout.join('\n')).not.toContain(SECRET);
}

function expectCleanLog(server: TestServer): void {
  const said = [...server.stderrLines, ...server.stdoutLines].join('\n');
  expect(said).not.toContain(SECRET);
  expect(said).not.toMatch(/NOPERM|unavailable|"level":"error"/);
}

describe('a Redis that cannot be used is refused on one line, in time', () => {
  test('nothing listens', async () => {
    await cannotUse('redis://127.0.0.1:9/0', '127.0.0.1:9', 'does not answer');
    await cannotUse(`redis://user:${SECRET}@127.0.0.1:9/0`, '127.0.0.1:9');
  }, 180_000);

  test('it accepts connections and says nothing', async () => {
    await withRedis({}, async (redis) => {
      redis.freeze();
      await cannotUse(redis.url, `127.0.0.1:${redis.port}`, 'does not answer');
      redis.thaw();
    });
  }, 60_000);

  test('a password is missing or wrong, for the default user and for a named one', async () => {
    await withRedis({ config: ['--requirepass', SECRET] }, async ({ port }) => {
      await cannotUse(`redis://127.0.0.1:${port}/0`, 'NOAUTH');
      await cannotUse(`redis://:${SECRET}-wrong@127.0.0.1:${port}/0`, 'WRONGPASS');
      await cannotUse(`redis://somebody:${SECRET}@127.0.0.1:${port}/0`, 'WRONGPASS');
      await works({ DIFY_AGENT_STORE_URL: `redis://:${SECRET}@127.0.0.1:${port}/0` });
    });
  }, 60_000);

  test('a password in a variable of its own characters is sent as it is meant', async () => {
    const odd = `${SECRET}/@:#?%`;
    await withRedis({ config: ['--requirepass', odd] }, async ({ port }) => {
      await works({ DIFY_AGENT_STORE_URL: `redis://:${encodeURIComponent(odd)}@127.0.0.1:${port}/0` });
    });
  }, 60_000);

  test('it is older than 6.2', async () => {
    await withRedis({}, async (redis) => {
      const version = await redis.admin(async (client) => /redis_version:(\S+)/.exec(await client.info())?.[1] ?? '');
      const proxy = await startCuttingProxy(redis.port);
      try {
        // As long as the real one, so that the length before it stays true: 7.0.15 → 6.0.15.
        const old = version.replace(/^\d+\.\d+/, (found) => `6.0${'0'.repeat(found.length - 3)}`);
        proxy.replacing = { from: version, to: old };
        await cannotUse(`redis://127.0.0.1:${proxy.port}/0`, old, '6.2');
      } finally {
        await proxy.close();
      }
    });
  }, 60_000);

  test('a database that it does not have', async () => {
    await withRedis({ config: ['--databases', '2'] }, async ({ port }) => {
      await cannotUse(`redis://127.0.0.1:${port}/7`, /refuses|DB index/);
      await works({ DIFY_AGENT_STORE_URL: `redis://127.0.0.1:${port}/1` });
    });
  }, 60_000);
});

describe('access control', () => {
  test('the user of docs/stores.md can do everything that the server needs, and nothing else', async () => {
    await withRedis({}, async (redis) => {
      await redis.admin((client) =>
        client.sendCommand(['ACL', 'SETUSER', 'dify-agent', ...documentedUser({ password: SECRET })]),
      );
      const url = `redis://dify-agent:${SECRET}@127.0.0.1:${redis.port}/0`;
      await works({ DIFY_AGENT_STORE_URL: url });
      const refusals = await redis.admin((client) => client.aclLog());
      expect(refusals).toEqual([]);
    });
  }, 60_000);

  test('a user without a command that is needed is refused at the start', async () => {
    await withRedis({}, async (redis) => {
      const words = documentedUser({ password: SECRET }).filter((word) => !/^\+(eval|evalsha|fcall)/.test(word));
      await redis.admin((client) => client.sendCommand(['ACL', 'SETUSER', 'dify-agent', ...words]));
      await cannotUse(`redis://dify-agent:${SECRET}@127.0.0.1:${redis.port}/0`, 'NOPERM');
    });
  }, 60_000);
});

test('TLS: rediss:// with a certificate that the server trusts works, one that it does not is refused', async () => {
  await withFolder(async (folder) => {
    const { cert, key } = selfSigned(folder);
    const tlsPort = freePort();
    const config = ['--tls-port', String(tlsPort), '--tls-cert-file', cert, '--tls-key-file', key];
    await withRedis({ config: [...config, '--tls-auth-clients', 'no'] }, async () => {
      const url = `rediss://127.0.0.1:${tlsPort}/0`;
      await cannotUse(url, `127.0.0.1:${tlsPort}`, /certificate|self.signed/i);
      const trusting = { NODE_EXTRA_CA_CERTS: cert };
      await works({ DIFY_AGENT_STORE_URL: url, ...trusting });
      // The certificate is for the address, not for this name.
      const misnamed = { DIFY_AGENT_STORE_URL: `rediss://localhost:${tlsPort}/0`, ...trusting };
      await cannotUse(misnamed, /altname|ERR_TLS|hostname/i);
      await cannotUse(`redis://127.0.0.1:${tlsPort}/0`, `127.0.0.1:${tlsPort}`);
    });
  });
}, 60_000);

function selfSigned(folder: string): { readonly cert: string; readonly key: string } {
  const cert = join(folder, 'redis.crt');
  const key = join(folder, 'redis.key');
  const words = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-keyout', key, '-out', cert];
  const subject = ['-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1'];
  const { exitCode, stderr } = Bun.spawnSync(['openssl', ...words, ...subject], { stderr: 'pipe' });
  if (exitCode !== 0) throw new Error(`openssl: ${stderr}`);
  return { cert, key };
}

function freePort(): number {
  const listener = Bun.listen({ hostname: '127.0.0.1', port: 0, socket: { data() {} } });
  const { port } = listener;
  listener.stop(true);
  return port;
}

describe('check', () => {
  async function storeLines(redis: RedisProcess): Promise<string> {
    const { stdout } = await runToExit({ args: ['check'], env: { DIFY_AGENT_STORE_URL: redis.url } });
    return stdout.filter((line) => /store|redis|evict/i.test(line)).join('\n');
  }

  test('warns when Redis may evict runs, and only then', async () => {
    await withRedis({ config: ['--maxmemory-policy', 'allkeys-lru'] }, async (redis) => {
      expect(await storeLines(redis)).toMatch(/allkeys-lru.*noeviction/);
    });
    await withRedis({}, async (redis) => {
      const said = await storeLines(redis);
      expect(said).toContain(`127.0.0.1:${redis.port}`);
      expect(said).not.toContain('evict');
    });
  }, 60_000);

  test('changes nothing', async () => {
    await withRedis({}, async (redis) => {
      await storeLines(redis);
      expect(await redis.admin((client) => client.dbSize())).toBe(0);
    });
  }, 60_000);
});
