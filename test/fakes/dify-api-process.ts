// The fake Dify API in a process of its own, for measurements and for tests of the compiled binary. Prints one line of JSON, its
// address and key. With an argument, an agent of that id has a configuration with one skill and one file.

import { startFakeDifyApi } from './dify-api.ts';

/** A fake in another process. */
export interface DifyApiProcess {
  readonly url: string;
  readonly innerKey: string;
  stop(): void;
}

/** Starts one and waits for its address. */
export async function startDifyApiProcess(agentId?: string): Promise<DifyApiProcess> {
  const script = new URL(import.meta.url).pathname;
  const child = Bun.spawn([process.execPath, script, ...(agentId === undefined ? [] : [agentId])], {
    stdout: 'pipe',
    stderr: 'inherit',
  });
  const reader = child.stdout.getReader();
  const { value } = await reader.read();
  reader.releaseLock();
  const said = JSON.parse(new TextDecoder().decode(value)) as { url: string; innerKey: string }; // what `serve` prints
  return { ...said, stop: () => child.kill() };
}

function serve(agentId: string | undefined): void {
  const { url, innerKey, state } = startFakeDifyApi();
  if (agentId !== undefined) {
    const config = state.addConfig(agentId);
    config.skills.set('greeter', new TextEncoder().encode('PK'));
    config.files.set('notes.txt', new TextEncoder().encode('hello'));
  }
  console.log(JSON.stringify({ url, innerKey }));
}

if (import.meta.main) serve(process.argv[2]);
