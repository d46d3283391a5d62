// The entry point as a process: what only a real one shows.

import { expect, test } from 'bun:test';

const MAIN = new URL('../../src/main.ts', import.meta.url).pathname;

const ENV = {
  DIFY_AGENT_PORT: '0',
  DIFY_AGENT_STORE_URL: 'sqlite::memory:',
  DIFY_AGENT_LOG_LEVEL: 'debug',
  DIFY_AGENT_LOG_FORMAT: 'json',
};

/** Starts a server from source; resolves when it listens. */
async function listeningServer(env: Readonly<Record<string, string>> = {}) {
  const server = Bun.spawn([process.execPath, MAIN], { env: { ...ENV, ...env }, stdout: 'ignore', stderr: 'pipe' });
  const reader = server.stderr.getReader();
  const decoder = new TextDecoder();
  let log = '';
  const readOn = async (): Promise<boolean> => {
    const { done, value } = await reader.read();
    log += decoder.decode(value, { stream: true });
    return !done;
  };
  const urlInLog = () => /"message":"listening".*"url":"([^"]+)"/.exec(log)?.[1];
  while (urlInLog() === undefined) if (!(await readOn())) throw new Error(`the server ended: ${log}`);
  return {
    server,
    reader,
    url: urlInLog(),
    log: () => log,
    async readToEnd() {
      while (await readOn());
      return log;
    },
  };
}

test('a reader of standard error that goes away does not end the server', async () => {
  const { server, reader, url, log } = await listeningServer();
  try {
    expect(log()).toContain('"store":"sqlite::memory:"');
    await reader.cancel();
    for (let i = 0; i < 3; i++) expect((await fetch(`${url}/healthz`, { proxy: false })).status).toBe(200);
    server.kill('SIGTERM');
    expect(await server.exited).toBe(0);
  } finally {
    server.kill('SIGKILL');
  }
});

test('a variable that loses against another of its names is told at the start, without its value', async () => {
  const env = { DIFY_AGENT_API_TOKEN: 'hunter2-a', DIFY_AGENT_RUN_API_TOKEN: 'hunter2-b' };
  const { server, readToEnd } = await listeningServer(env);
  try {
    server.kill('SIGTERM');
    const log = await readToEnd();
    const line = 'DIFY_AGENT_RUN_API_TOKEN (environment) is ignored: DIFY_AGENT_API_TOKEN (environment) is set to';
    expect(log.split(line)).toHaveLength(2);
    expect(log).not.toContain('hunter2');
  } finally {
    server.kill('SIGKILL');
  }
});

test('however many signals arrive, until the very end, the process exits 0 with its last line written', async () => {
  for (let round = 0; round < 5; round += 1) {
    const { server, readToEnd } = await listeningServer();
    let gone = false;
    const storm = async () => {
      while (!gone) {
        server.kill('SIGTERM');
        await new Promise((resolve) => setImmediate(resolve));
      }
    };
    const ended = server.exited.finally(() => {
      gone = true;
    });
    const [code, log] = await Promise.all([ended, readToEnd(), storm()]);
    expect(code).toBe(0);
    expect(log).toContain('"message":"stopped"');
    expect(log.split('second signal').length).toBeLessThanOrEqual(2);
  }
});

test('standard output that goes away is no failure', async () => {
  const help = Bun.spawn([process.execPath, MAIN, 'help'], { env: {}, stdout: 'pipe', stderr: 'pipe' });
  await help.stdout.cancel();
  expect(await help.exited).toBe(0);
  expect(await new Response(help.stderr).text()).toBe('');
});

test('importing the entry point starts nothing', async () => {
  const script = `await import(${JSON.stringify(MAIN)}); console.log('imported');`;
  const child = Bun.spawn([process.execPath, '-e', script], { env: {}, stdout: 'pipe', stderr: 'pipe' });
  expect(await new Response(child.stdout).text()).toBe('imported\n');
  expect(await child.exited).toBe(0);
});
