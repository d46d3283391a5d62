// Drivers in processes of their own that live through several jobs, so that what a driver has warmed up stays warm: a job is a
// line of JSON on its standard input, its result a line on its standard output. One job at a time.

/** A driver that was started. */
export interface Worker {
  /** Hands it a job. Rejects when it ended instead of answering. */
  ask<Result>(job: unknown): Promise<Result>;
  /** Ends it. */
  stop(): Promise<void>;
}

/** Starts a script of this folder's. */
export function startWorker(path: string): Worker {
  const child = Bun.spawn([process.execPath, path], { stdin: 'pipe', stdout: 'pipe', stderr: 'inherit' });
  const lines = linesOf(child.stdout);
  return {
    async ask<Result>(job: unknown): Promise<Result> {
      child.stdin.write(`${JSON.stringify(job)}\n`);
      await child.stdin.flush();
      const { value, done } = await lines.next();
      if (done === true) throw new Error(`${path} ended (${await child.exited})`);
      return JSON.parse(value) as Result; // what the script's handler returned
    },
    async stop() {
      child.kill();
      await child.exited;
    },
  };
}

/** The other side, for a script's main: answers every job; a job that fails ends the process. */
export async function serveJobs<Job>(handle: (job: Job) => Promise<unknown>): Promise<void> {
  for await (const line of linesOf(Bun.stdin.stream())) {
    const result = JSON.stringify(await handle(JSON.parse(line) as Job)); // startWorker's owner wrote it
    process.stdout.write(`${result}\n`);
  }
}

/** A script that prints its address on its first line, and is ended by `stop`. */
export async function startAddressed(path: string, args: readonly string[] = []): Promise<AddressedProcess> {
  const child = Bun.spawn([process.execPath, path, ...args], { stdin: 'ignore', stdout: 'pipe', stderr: 'inherit' });
  const { value, done } = await linesOf(child.stdout).next();
  if (done === true) throw new Error(`${path} ended (${await child.exited})`);
  return {
    url: value,
    pid: child.pid,
    async stop() {
      child.kill();
      await child.exited;
    },
  };
}

/** A server of the bench's in a process of its own. */
export interface AddressedProcess {
  readonly url: string;
  readonly pid: number;
  stop(): Promise<void>;
}

async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<string, undefined> {
  const decoder = new TextDecoder();
  let rest = '';
  // Not `for await`: leaving its loop would cancel the stream.
  const reader = stream.getReader();
  for (let read = await reader.read(); !read.done; read = await reader.read()) {
    const lines = (rest + decoder.decode(read.value, { stream: true })).split('\n');
    rest = lines.pop() ?? '';
    yield* lines;
  }
  return undefined;
}
