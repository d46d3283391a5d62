// The entry point of development, tests, container and production: argv → a command → exit code. Nothing else starts a
// process. What the commands do is in cli/.

import { runCommand } from './cli/commands.ts';
import { processIo } from './cli/io.ts';

// Under `bun src/main.ts serve` argv is [bun, main.ts, serve]; in the compiled binary it is ["bun", "/$bunfs/…", serve].
const WORDS_BEFORE_COMMAND = 2;

async function main(): Promise<void> {
  const io = processIo(process.argv.slice(WORDS_BEFORE_COMMAND));
  let code = 1;
  try {
    code = await runCommand(io);
  } catch (error) {
    // A defect of a command; serve handles its own failures.
    await io.complain(`dify-agent: ${error instanceof Error ? error.message : String(error)}`);
  }
  // Not left to the event loop: a socket that a peer keeps open must not keep the process alive.
  process.exit(code);
}

if (import.meta.main) void main();
