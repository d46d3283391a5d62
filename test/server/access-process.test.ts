// The doors of a real server process, started through main.ts as in development: it refuses to stand open by accident, asks
// for its token, and serves HTTPS.

import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../support/binary.ts';
import { type RunningProcess, startProcess } from '../support/server.ts';
import { until, within } from '../support/until.ts';
import { type CertificateFolder, certificateFolder } from './doors.ts';

type Env = Readonly<Record<string, string>>;

const TOKEN = 'process-token-1';
let folder: CertificateFolder;

beforeAll(() => {
  folder = certificateFolder();
});
afterAll(() => folder.dispose());

function start(env: Env, command = 'serve'): Promise<RunningProcess> {
  const args = [join(ROOT, 'src/main.ts'), command];
  return startProcess({ binary: process.execPath, args, env });
}

/** The process until its end: code and what it printed. */
async function ended(env: Env, command?: string) {
  const running = await start(env, command);
  try {
    const { code } = await within('the process to end', running.exited, 20_000);
    return { code, stdout: running.stdoutLines, stderr: running.stderrLines.filter((line) => line !== '') };
  } finally {
    await running.dispose();
  }
}

/** A listening process and the fields of its start line. */
async function withListening(env: Env, use: (url: string, running: RunningProcess) => Promise<void>): Promise<void> {
  const running = await start(env);
  try {
    const line = await until('the start line', () => running.stderrLines.find((each) => each.includes('"listening"')), {
      timeoutMs: 20_000,
    });
    await use((JSON.parse(line) as { url: string }).url, running); // our own JSON log
    running.kill('SIGTERM');
    expect((await within('the end', running.exited)).code).toBe(0);
  } finally {
    await running.dispose();
  }
}

describe('an address that others can reach', () => {
  test.each(['0.0.0.0', '::', 'runs.example.com'])(
    '%s without a token refuses to start, on one line',
    async (host) => {
      const { code, stdout, stderr } = await ended({ DIFY_AGENT_HOST: host });
      expect({ code, stdout, lines: stderr.length }).toEqual({ code: 1, stdout: [], lines: 1 });
      expect(stderr[0]).toContain('DIFY_AGENT_API_TOKEN');
      expect(stderr[0]).toContain('DIFY_AGENT_ALLOW_ANONYMOUS=true');
    },
    30_000,
  );

  test('check says it too', async () => {
    const { code, stdout } = await ended({ DIFY_AGENT_HOST: '0.0.0.0' }, 'check');
    expect(code).toBe(1);
    const failed = stdout.filter((line) => line.includes('FAILED'));
    expect(failed).toHaveLength(1);
    expect(failed[0]).toContain('DIFY_AGENT_ALLOW_ANONYMOUS');
  }, 30_000);

  test('starts where everybody is meant to call, with a warning', async () => {
    const env = { DIFY_AGENT_HOST: '::ffff:127.0.0.1', DIFY_AGENT_ALLOW_ANONYMOUS: 'true' };
    await withListening(env, async (_, running) => {
      expect(running.stderrLines.join('\n')).not.toContain('everybody who reaches');
    });
    await withListening({ ...env, DIFY_AGENT_HOST: '127.1' }, async (url, running) => {
      expect((await fetch(`${url}/runs/x`, { proxy: false } as RequestInit)).status).toBe(404);
      await until('the warning', () =>
        running.stderrLines.some((line) => /"warn".*everybody who reaches 127\.1 /.test(line)),
      );
    });
  }, 60_000);
});

test('with a token: strangers get 401, its holders work, probes are open, and nothing prints it', async () => {
  await withListening({ DIFY_AGENT_API_TOKEN: ` ${TOKEN}\n`, DIFY_AGENT_LOG_LEVEL: 'debug' }, async (url, running) => {
    const ask = (path: string, authorization?: string) =>
      fetch(`${url}${path}`, { proxy: false, headers: authorization ? { authorization } : {} } as RequestInit);
    expect((await ask('/runs/x')).status).toBe(401);
    expect((await ask('/runs/x', 'Bearer wrong')).status).toBe(401);
    expect((await ask('/runs/x', `Bearer ${TOKEN}`)).status).toBe(404);
    expect((await ask('/runs/x', `Basic ${btoa(`dify:${TOKEN}`)}`)).status).toBe(404);
    expect((await ask('/healthz')).status).toBe(200);
    expect((await ask('/readyz')).status).toBe(200);
    expect(await (await ask('/openapi.json')).text()).toContain('"securitySchemes"');
    expect(running.stderrLines.join('\n')).toContain('"access":"token"');
    expect(running.stderrLines.join('\n')).not.toContain(TOKEN);
  });
}, 30_000);

describe('HTTPS', () => {
  test('is served from files, SSE included', async () => {
    const { certFile, keyFile } = await folder.make('served');
    const env = { DIFY_AGENT_TLS_CERT: certFile, DIFY_AGENT_TLS_KEY: keyFile, DIFY_AGENT_API_TOKEN: TOKEN };
    await withListening(env, async (url) => {
      expect(url).toStartWith('https://127.0.0.1:');
      const tls = { ca: readFileSync(certFile, 'utf8') };
      const headers = { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' };
      const body = JSON.stringify({ composition: { layers: [] } });
      const ask = (path: string, init: RequestInit = {}) =>
        fetch(`${url}${path}`, { proxy: false, tls, headers, ...init } as RequestInit);
      const { run_id: runId } = (await (await ask('/runs', { method: 'POST', body })).json()) as { run_id: string };
      expect(await (await ask(`/runs/${runId}/events/sse`)).text()).toContain('event: run_failed');
    });
  }, 30_000);

  test.each([
    [
      'nowhere',
      { DIFY_AGENT_TLS_CERT: '/nowhere.crt', DIFY_AGENT_TLS_KEY: '/nowhere.key' },
      'DIFY_AGENT_TLS_CERT: cannot',
    ],
    [
      'half',
      { DIFY_AGENT_TLS_KEY: '/nowhere.key' },
      'DIFY_AGENT_TLS_CERT and DIFY_AGENT_TLS_KEY must be set together.',
    ],
  ])(
    'with files that are %s refuses to start, and check says it too',
    async (_, env, text) => {
      const { code, stdout, stderr } = await ended(env);
      expect({ code, stdout, lines: stderr.length }).toEqual({ code: 1, stdout: [], lines: 1 });
      expect(stderr[0]).toContain(text);
      const report = await ended(env, 'check');
      expect(report.code).toBe(1);
      expect(report.stdout.find((line) => line.includes('FAILED'))).toContain(text);
    },
    60_000,
  );

  test('check describes the certificate, and warns of one that has expired', async () => {
    const [good, late] = await Promise.all([folder.make('good'), folder.make('late', -1)]);
    const report = async ({ certFile, keyFile }: typeof good) =>
      (await ended({ DIFY_AGENT_TLS_CERT: certFile, DIFY_AGENT_TLS_KEY: keyFile }, 'check')).stdout.join('\n');
    expect(await report(good)).toMatch(/ok +tls: certificate for DNS:localhost, IP Address:127\.0\.0\.1, valid until /);
    expect(await report(late)).toMatch(/ok +warning: DIFY_AGENT_TLS_CERT: .*late\.crt expired on /);
  }, 30_000);
});
