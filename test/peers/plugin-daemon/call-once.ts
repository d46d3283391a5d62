// One model call to the daemon named on the command line, for tests that need a process with its own environment.

import { clientFor, collect, llmCall, quiet, textOf } from './kit.ts';

async function callOnce(url: string): Promise<void> {
  const { items, error } = await collect(clientFor(url).streamItems(llmCall(), quiet()));
  console.log(`${items.length} items, ${textOf(error)}`);
}

if (import.meta.main) void callOnce(process.argv[2] ?? '');
