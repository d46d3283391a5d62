import { expect, test } from 'bun:test';
import { lastItem, startFakeDaemon } from '../../fakes/plugin-daemon.ts';

test('proxy variables are ignored', async () => {
  const daemon = await startFakeDaemon();
  daemon.play({ llm: [[lastItem()]] });
  let visits = 0;
  const proxy = Bun.listen({
    hostname: '127.0.0.1',
    port: 0,
    socket: {
      open(socket) {
        visits += 1;
        socket.end('HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n');
      },
      data() {},
    },
  });
  const address = `http://127.0.0.1:${proxy.port}`;
  const names = ['HTTP_PROXY', 'http_proxy', 'HTTPS_PROXY', 'https_proxy', 'ALL_PROXY', 'all_proxy'];
  const child = Bun.spawn([process.execPath, `${import.meta.dir}/call-once.ts`, daemon.url], {
    env: { PATH: process.env.PATH ?? '', NO_PROXY: '', ...Object.fromEntries(names.map((name) => [name, address])) },
    stdout: 'pipe',
  });
  expect(await child.stdout.text()).toBe('1 items, no error\n');
  expect(daemon.llmRequests).toHaveLength(1);
  expect(visits).toBe(0);
  proxy.stop(true);
  await daemon.stop();
});
