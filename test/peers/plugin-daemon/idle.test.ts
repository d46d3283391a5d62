import { expect, test } from 'bun:test';
import { lastItem, startFakeDaemon } from '../../fakes/plugin-daemon.ts';

test("a silent daemon is waited for beyond the idle limit of Bun's own fetch", async () => {
  const daemon = await startFakeDaemon();
  // The smallest limit that Bun has takes effect after 8 s (it is 300 s by default): both phases at once.
  daemon.play({
    llm: [
      [{ delay: 9500 }, lastItem()],
      ['x', { delay: 9500 }, lastItem()],
    ],
  });
  const outputs = [1, 2].map(() =>
    Bun.spawn([process.execPath, `${import.meta.dir}/call-once.ts`, daemon.url], {
      env: { PATH: process.env.PATH ?? '', BUN_CONFIG_HTTP_IDLE_TIMEOUT: '1' },
      stdout: 'pipe',
    }).stdout.text(),
  );
  expect((await Promise.all(outputs)).toSorted()).toEqual(['1 items, no error\n', '2 items, no error\n']);
  await daemon.stop();
}, 30_000);
