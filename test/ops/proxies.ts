// `npm run test:proxies`: the configurations of docs/ops in front of the compiled binary, in real nginx and Caddy (Debian's
// packages nginx-light and caddy). Not a part of `npm test`, which must not depend on them; the name keeps it out.

import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../faults/kill-loop.ts';
import { createRun, FOREVER, scripted } from '../support/runs.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { openSse } from '../support/sse.ts';
import { until } from '../support/until.ts';

const OPS = join(import.meta.dir, '../../docs/ops');
const folder = mkdtempSync(join(tmpdir(), 'dify-agent-proxies-'));
let server: TestServer;

beforeAll(async () => {
  server = await startServer();
}, 120_000);
afterAll(async () => {
  await server?.dispose();
  rmSync(folder, { recursive: true, force: true });
});

/** The snippet as it is but for addresses and certificates, in a whole configuration. */
function nginx(port: number): readonly string[] {
  const snippet = readFileSync(join(OPS, 'nginx.conf'), 'utf8')
    .replace('server 127.0.0.1:8000;', `server 127.0.0.1:${server.port};`)
    .replace('listen 443 ssl http2;', `listen 127.0.0.1:${port};`)
    .replace(/^ *ssl_certificate.*$/gm, '')
    .replace('allow 127.0.0.1;', '');
  const path = join(folder, 'nginx.conf');
  mkdirSync(join(folder, 'logs'), { recursive: true });
  writeFileSync(
    path,
    `daemon off; worker_processes 1; pid ${folder}/nginx.pid; error_log ${folder}/error.log;
    events {} http { access_log off; client_body_temp_path ${folder}/body; proxy_temp_path ${folder}/proxy;
    fastcgi_temp_path ${folder}/f; uwsgi_temp_path ${folder}/u; scgi_temp_path ${folder}/s;\n${snippet}\n}`,
  );
  return ['nginx', '-c', path, '-p', folder];
}

function caddy(port: number): readonly string[] {
  const path = join(folder, 'Caddyfile');
  const snippet = readFileSync(join(OPS, 'Caddyfile'), 'utf8')
    .replace('agent.example.com {', `http://127.0.0.1:${port} {`)
    .replace('reverse_proxy 127.0.0.1:8000', `reverse_proxy 127.0.0.1:${server.port}`)
    .replace('private_ranges', '10.0.0.0/8');
  writeFileSync(path, `{\n\tadmin off\n\tauto_https off\n}\n${snippet}`);
  return ['caddy', 'run', '--config', path, '--adapter', 'caddyfile'];
}

describe.each([
  // With the signal that ends each at once, whatever stream a test has left open.
  ['nginx', 'SIGTERM', nginx],
  ['caddy', 'SIGQUIT', caddy],
] as const)('%s', (_name, signal, commandOf) => {
  let proxy: ReturnType<typeof Bun.spawn>;
  let url = '';

  beforeAll(async () => {
    const port = await freePort();
    url = `http://127.0.0.1:${port}`;
    proxy = Bun.spawn([...commandOf(port)], {
      stdout: 'ignore',
      stderr: 'ignore',
      env: { ...process.env, HOME: folder },
    });
    await until('the proxy', async () => (await fetch(`${url}/readyz`)).ok, { timeoutMs: 20_000 });
  }, 30_000);
  afterAll(async () => {
    proxy?.kill(signal);
    await proxy?.exited;
  });

  test('lets an event through while the run goes on', async () => {
    const runId = await createRun(url, scripted([[{ text: 'now' }, FOREVER]]));
    const { frames } = await openSse(url, runId);
    for await (const { data } of frames) if (data.includes('"now"')) break;
    const record = (await (await fetch(`${url}/runs/${runId}`)).json()) as { readonly status: string };
    expect(record.status).toBe('running');
  }, 30_000);

  test('keeps what is for operators to itself', async () => {
    const statuses = await Promise.all(
      ['/metrics', '/internal/status', '/console'].map(async (path) => (await fetch(url + path)).status),
    );
    expect(statuses.every((status) => status === 403 || status === 404)).toBe(true);
  });
});
