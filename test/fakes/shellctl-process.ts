// The fake shellctl in a process of its own: for measurements, and for servers that are tested from outside. Prints its address.
// Arguments: the dialect (default `python`), the token (default DEFAULT_TOKEN). It ends when its stdin does, and on SIGTERM.

import { DEFAULT_TOKEN, type Dialect, startFakeShellctl } from './shellctl.ts';

/** A fake in another process. */
export interface ShellctlProcess {
  readonly url: string;
  readonly token: string;
  /** Resolves when it has cleaned up. */
  stop(): Promise<void>;
}

/** Starts one. */
export async function startShellctlProcess(
  options: { readonly dialect?: Dialect; readonly token?: string } = {},
): Promise<ShellctlProcess> {
  const { dialect = 'python', token = DEFAULT_TOKEN } = options;
  const child = Bun.spawn([process.execPath, new URL(import.meta.url).pathname, dialect, token], {
    stdin: 'pipe',
    stdout: 'pipe',
    stderr: 'inherit',
  });
  const reader = child.stdout.getReader();
  const { value } = await reader.read();
  reader.releaseLock();
  return {
    url: new TextDecoder().decode(value).trim(),
    token,
    async stop() {
      void child.stdin.end();
      await child.exited;
    },
  };
}

async function serve(dialect: Dialect, token: string): Promise<void> {
  const fake = startFakeShellctl({ dialect, token });
  const stop = (): void => {
    fake.stop();
    process.exit(0);
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
  console.log(fake.url);
  // Whoever started us is gone when this ends. A terminal at the other end keeps it running until Ctrl-C.
  for await (const _ of Bun.stdin.stream());
  stop();
}

if (import.meta.main) {
  const [dialect, token = DEFAULT_TOKEN] = process.argv.slice(2);
  void serve(dialect === 'go' ? 'go' : 'python', token);
}
