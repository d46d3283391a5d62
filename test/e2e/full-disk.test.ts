// What an operator and a caller see when the disk is full: a real binary whose files may not grow (RLIMIT_FSIZE), and
// which gets room again later. Nothing is lost silently, nothing stays `running`.

import { expect, test } from 'bun:test';
import { ensureBinary } from '../support/binary.ts';
import { refusal } from '../support/exit.ts';
import { createRun, FOREVER, finish, get, post, scripted } from '../support/runs.ts';
import { withFolder, withServer } from '../support/server.ts';
import { until, within } from '../support/until.ts';

/** Blocks of 512 bytes: room for about seventy pages of the log. */
const LIMIT_BLOCKS = 600;

test('a full disk: 503 with a cause in the log, not ready, and everything works again when there is room', async () => {
  const binary = await ensureBinary();
  await withFolder(async (folder) => {
    const start = {
      binary: '/bin/sh',
      args: ['-c', `ulimit -S -f ${LIMIT_BLOCKS} && exec "$1" serve`, 'sh', binary],
      env: { DIFY_AGENT_STORE_URL: `sqlite:${folder}/runs.db` },
    };
    await withServer(start, async (server) => {
      const before = await finish(server.url, await createRun(server.url, scripted([[{ text: 'before' }]])));
      const caught = await createRun(
        server.url,
        scripted([[{ text: 'x'.repeat(2_000), delay_ms: 1, repeat: 10_000 }]]),
      );
      const refused = await until('a refused run', async () => {
        const response = await post(server.url, scripted([[{ text: 'small' }]]));
        return response.status === 503 ? response.text() : undefined;
      });
      expect(refused).toBe('{"detail":"store unavailable"}');
      // For a moment a smaller write may still have found room.
      const unready = await until('/readyz to be 503', async () => {
        const { status, text } = await get(`${server.url}/readyz`);
        return status === 503 && text;
      });
      expect(unready).toBe('{"status":"not ready","problems":["store unavailable"]}');
      // What is stored can still be read.
      expect(await finish(server.url, before.runId)).toEqual(before);

      const room = Bun.spawnSync(['prlimit', '--pid', String(server.pid), '--fsize=unlimited']);
      expect(room.exitCode).toBe(0);
      await until('/readyz to be 200', async () => (await get(`${server.url}/readyz`)).status === 200);
      const lost = await within('the run that was caught to end', finish(server.url, caught), 20_000);
      expect(lost.status.status).toBe('failed');
      expect(lost.terminal.reason).toBe('store_unavailable');
      const after = await finish(server.url, await createRun(server.url, scripted([[{ text: 'after' }]])));
      expect(after.terminal.output).toBe('after');
      expect(await server.stop()).toEqual({ code: 0, signal: null });
      const log = server.stderrLines.join('\n');
      expect(log).toContain('events of the run could not be stored');
      // With the class names as they are written, also in the minified binary.
      expect(log).toContain('StoreUnavailableError: store unavailable: SQLiteError: disk I/O error');
    });
  });
}, 60_000);

test('a disk that is full at the start: nobody could end what the last process left, so it refuses on one line', async () => {
  const binary = await ensureBinary();
  await withFolder(async (folder) => {
    const env = { DIFY_AGENT_STORE_URL: `sqlite:${folder}/runs.db` };
    const orphan = await withServer({ env }, async (server) => {
      const runId = await createRun(server.url, scripted([[{ text: 'a' }, FOREVER]]));
      await until('the text', async () =>
        (await get(`${server.url}/runs/${runId}/events`)).text.includes('final_result'),
      );
      server.kill('SIGKILL');
      await server.exited;
      return runId;
    });
    const full = { binary: '/bin/sh', args: ['-c', 'ulimit -S -f 1 && exec "$1" serve', 'sh', binary], env };
    expect(await refusal(full, 'DIFY_AGENT_STORE_URL', 'runs.db')).not.toContain('\n');
    await withServer({ env }, async (server) => {
      const { terminal } = await finish(server.url, orphan);
      expect(terminal.reason).toBe('worker_lost');
    });
  });
}, 60_000);
