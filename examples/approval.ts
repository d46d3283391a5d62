// Human approval: the agent may not deploy without a person's yes. The run ends with the question, nothing waits on the server; the
// session keeps the question until somebody answers it, in this process or in another one, in a minute or in a week.
//
// Needs a running server that has the scripted model: README.md of this folder starts one.
//
//   npx bun examples/approval.ts http://127.0.0.1:8000 approve      (or: reject)
//
// In a program of your own the imports are 'dify-agent/client' and 'dify-agent/sessions'; here they are the source, so that nothing
// has to be built.

import {
  askHuman,
  Client,
  type CreateRunRequest,
  composition,
  history,
  plainPrompt,
  scriptedLlm,
} from '../src/client/index.ts';
import { AgentSessions, memorySessionStore } from '../src/sessions/index.ts';

const scope = { tenant: 'example', ownerKind: 'conversation', ownerId: 'deploy-7', slot: 'operator' };

const question = {
  title: 'Release 7',
  question: 'May I deploy version 7 now?',
  fields: [{ type: 'paragraph', name: 'why', label: 'Why?' }],
  actions: [
    { id: 'approve', label: 'Approve' },
    { id: 'reject', label: 'Reject' },
  ],
};
/** The scripted model asks; a real one would decide that by itself, told so by its prompt. */
const asks = { tool_call: { id: 'call_1', name: 'ask_human', arguments: question } };

/** The same layers in every turn. `ask_human` comes after `history`. */
function turn(says: typeof asks | { readonly text: string }): () => CreateRunRequest {
  return () => ({
    composition: composition([
      plainPrompt({ prefix: 'Ask before you deploy.', user: 'Deploy version 7.' }),
      history(),
      askHuman(),
      scriptedLlm({ turns: [{ items: [says] }] }),
    ]),
  });
}

async function main(baseUrl: string, decision: string): Promise<void> {
  const client = new Client({ baseUrl, token: process.env.DIFY_AGENT_API_TOKEN ?? '' });
  const sessions = new AgentSessions({ client, store: memorySessionStore() });

  const asked = await sessions.run(scope, turn(asks), {
    // Your own name for the question, stored with it in the same step: the id of the form that you send to somebody.
    correlate: (call) => `form-for-${call.tool_call_id}`,
  });
  if (asked.kind !== 'deferred') throw new Error(`expected a question, got ${asked.kind}`);
  console.log(`${asked.correlation}: ${question.question} [${question.actions.map(({ label }) => label).join('] [')}]`);

  // … here the process may end, if its store is a file or a server. Whoever comes back finds the question:
  const open = (await sessions.load(scope))?.pending;
  console.log(`still open: ${open?.toolCallId}`);

  const action = question.actions.find(({ id }) => id === decision) ?? question.actions[1];
  const answer = { status: 'submitted', action: { ...action }, values: { why: 'It is Tuesday.' } };
  const outcome = decision === 'approve' ? 'Version 7 is live.' : 'Then not.';
  const result = await sessions.resume(scope, answer, turn({ text: outcome }));
  if (result.kind !== 'output') throw new Error(`expected an answer, got ${result.kind}`);
  console.log(`agent: ${result.output}`);
  await sessions.end(scope);
}

if (import.meta.main) {
  void main(process.argv[2] ?? process.env.BASE_URL ?? 'http://127.0.0.1:8000', process.argv[3] ?? 'approve');
}
