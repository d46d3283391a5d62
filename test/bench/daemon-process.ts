// The fake daemon in a process of its own, for measurements. Prints its address; answers every model call with the same
// reply: so many text chunks, one TCP write each, then usage. Arguments: chunks, replies, chunks per write (default 1).

import { lastItem, startFakeDaemon } from '../fakes/plugin-daemon.ts';

/** A daemon in another process. */
export interface DaemonProcess {
  readonly url: string;
  stop(): void;
}

/** Starts one that can answer `replies` calls. */
export async function startDaemonProcess(chunks: number, replies: number, batch = 1): Promise<DaemonProcess> {
  const child = Bun.spawn(
    [process.execPath, new URL(import.meta.url).pathname, String(chunks), String(replies), String(batch)],
    { stdout: 'pipe', stderr: 'inherit' },
  );
  const reader = child.stdout.getReader();
  const { value } = await reader.read();
  reader.releaseLock();
  return { url: new TextDecoder().decode(value).trim(), stop: () => child.kill() };
}

async function serve(chunks: number, replies: number, batch: number): Promise<void> {
  const daemon = await startFakeDaemon();
  const reply = [{ repeat: chunks, text: 'x', batch }, lastItem()];
  daemon.play({ llm: Array.from({ length: replies }, () => reply) });
  console.log(daemon.url);
}

if (import.meta.main) {
  const [chunks = 1, replies = 1, batch = 1] = process.argv.slice(2).map(Number);
  void serve(chunks, replies, batch);
}
