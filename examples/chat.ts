// A chat that remembers: every line of the input is a turn of one session. With a file as its second argument the conversation
// is there again tomorrow; what happens when this process dies in the middle of a turn is the library's worry.
//
// Needs a running server that has the scripted model: README.md of this folder starts one.
//
//   npx bun examples/chat.ts                          (type, and end with Ctrl-D)
//   npx bun examples/chat.ts http://127.0.0.1:8000 chat.db
//
// In a program of your own the imports are 'dify-agent/client', 'dify-agent/sessions' and 'dify-agent/sessions/sqlite'; here they
// are the source, so that nothing has to be built.

import { createInterface } from 'node:readline';
import { Client, type CreateRunRequest, composition, history, plainPrompt, scriptedLlm } from '../src/client/index.ts';
import { AgentSessions, memorySessionStore } from '../src/sessions/index.ts';
import { openSqliteSessionStore } from '../src/sessions/sqlite.ts';

/** Whose conversation it is. `slot`: which agent of it. */
const scope = { tenant: 'example', ownerKind: 'conversation', ownerId: 'chat-1', slot: 'assistant' };

/** One turn. `known`: how often the user has spoken before; only the scripted model wants to know. */
function turn(line: string, known: number): CreateRunRequest {
  const answer = known === 0 ? `Hello! You said: ${line}` : `You said ${known} things before, and now: ${line}`;
  return {
    composition: composition([
      plainPrompt({ prefix: 'You are kind and brief.', user: line }),
      history(),
      scriptedLlm({ turns: [{ items: [{ text: answer }] }] }),
    ]),
  };
}

async function main(baseUrl: string, file: string | undefined): Promise<void> {
  const store = file === undefined ? memorySessionStore() : await openSqliteSessionStore(file);
  const client = new Client({ baseUrl, token: process.env.DIFY_AGENT_API_TOKEN ?? '' });
  const sessions = new AgentSessions({ client, store });
  for await (const line of createInterface({ input: process.stdin })) {
    if (line.trim() === '') continue;
    const result = await sessions.run(scope, ({ snapshot }) => turn(line, saidBefore(snapshot)));
    // Failed and cancelled runs are results, too: the conversation goes on with the next line.
    if (result.kind === 'output') console.log(`agent: ${result.output}`);
    else console.log(`agent: (${result.kind})`);
  }
  // A conversation in memory ends with this process: its layers are cleaned up. One in a file is only left.
  if (file === undefined) console.log(`cleaned up: ${(await sessions.end(scope)).cleaned}`);
  await store.close();
}

/** The snapshot is the server's: looking into it is for examples. */
function saidBefore(snapshot: CreateRunRequest['session_snapshot']): number {
  const messages = snapshot?.layers.find(({ name }) => name === 'history')?.runtime_state.messages;
  return Array.isArray(messages) ? messages.length / 2 : 0;
}

if (import.meta.main) {
  void main(process.argv[2] ?? process.env.BASE_URL ?? 'http://127.0.0.1:8000', process.argv[3]);
}
