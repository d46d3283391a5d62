import { expect, test } from 'bun:test';
import { startShellctlProcess } from '../fakes/shellctl-process.ts';
import type { StreamFacts } from './stream-probe.ts';

test('100 MB of output stream through in constant memory', async () => {
  const shellctl = await startShellctlProcess();
  const child = Bun.spawn(
    [process.execPath, `${import.meta.dir}/stream-probe.ts`, shellctl.url, shellctl.token, '100'],
    {
      stdout: 'pipe',
      stderr: 'inherit',
    },
  );
  const facts: StreamFacts = JSON.parse(await child.stdout.text()); // the probe's own words
  await shellctl.stop();
  expect(facts).toMatchObject({ complete: true });
  // The last character may be cut: its bytes are replaced.
  expect(Math.abs(facts.bytes - 100_000_000)).toBeLessThan(4);
  expect(facts.windows).toBeGreaterThan(500);
  expect(facts.heldBytes).toBeLessThan(4_000_000);
}, 60_000);
