// The fake daemon in a process of its own, for measurements. Prints its address; answers every model call with the same
// reply: so many text chunks, one TCP write each, then usage. Arguments: chunks, replies, chunks per write (default 1), ms
// between two writes (default 0).

import { lastItem, startFakeDaemon } from '../fakes/plugin-daemon.ts';

/** A daemon in another process. */
export interface DaemonProcess {
  readonly url: string;
  stop(): void;
}

/** Starts one that can answer `replies` calls. */
export async function startDaemonProcess(
  chunks: number,
  replies: number,
  batch = 1,
  gapMs = 0,
): Promise<DaemonProcess> {
  const numbers = [chunks, replies, batch, gapMs].map(String);
  const child = Bun.spawn([process.execPath, new URL(import.meta.url).pathname, ...numbers], {
    stdout: 'pipe',
    stderr: 'inherit',
  });
  const reader = child.stdout.getReader();
  const { value } = await reader.read();
  reader.releaseLock();
  return { url: new TextDecoder().decode(value).trim(), stop: () => child.kill() };
}

async function serve(chunks: number, replies: number, batch: number, gapMs: number): Promise<void> {
  const daemon = await startFakeDaemon();
  const reply = [{ repeat: chunks, text: 'x', batch, gap_ms: gapMs }, lastItem()];
  daemon.play({ llm: Array.from({ length: replies }, () => reply) });
  console.log(daemon.url);
}

if (import.meta.main) {
  const [chunks = 1, replies = 1, batch = 1, gapMs = 0] = process.argv.slice(2).map(Number);
  void serve(chunks, replies, batch, gapMs);
}
