// The sink on real descriptors: a file, a full pipe, a pipe that nobody reads any more.

import { expect, test } from 'bun:test';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { descriptorSink } from '../../src/observe/sink.ts';

async function inFolder(use: (folder: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'dify-agent-sink-'));
  try {
    await use(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

test('lines arrive in order', async () => {
  await inFolder(async (folder) => {
    const path = join(folder, 'log');
    const descriptor = openSync(path, 'a');
    const sink = descriptorSink(descriptor);
    for (let i = 0; i < 1000; i++) sink.write(`line ${i}`);
    await sink.flush();
    closeSync(descriptor);
    expect(readFileSync(path, 'utf8')).toBe(Array.from({ length: 1000 }, (_, i) => `line ${i}\n`).join(''));
  });
});

test('what does not fit is dropped and counted', async () => {
  await inFolder(async (folder) => {
    const path = join(folder, 'log');
    const descriptor = openSync(path, 'a');
    const sink = descriptorSink(descriptor, 100);
    for (let i = 0; i < 20; i++) sink.write('0123456789');
    await sink.flush();
    closeSync(descriptor);
    const lines = readFileSync(path, 'utf8').trimEnd().split('\n');
    expect(lines.filter((line) => line === '0123456789')).toHaveLength(9);
    expect(lines.at(-1)).toBe('(11 log entries dropped: standard error was not read)');
  });
});

test('a descriptor that is gone is given up without an error', async () => {
  const sink = descriptorSink(987_654);
  sink.write('a');
  await sink.flush();
  sink.write('b');
  await sink.flush();
});
