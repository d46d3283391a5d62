// Asking a human: the run ends with a question; the answer, hours later, is the start of another run. Nothing waits inside
// the server meanwhile. When the session is over, a last run without a model cleans up.
//
// Needs a running server that has the scripted model: README.md of this folder starts one.
//
//   npx bun examples/ask-a-human.ts http://127.0.0.1:8000 "No, wait."      (without an answer it says "Yes.")
//
// To ask a real model, replace the layer `llm` by the two layers in `pluginModel` of poll-a-run.ts.

import { type Question, runToEnd, type SessionSnapshot } from './stream-a-run.ts';

/** The layers of the session. Every run has the same names in the same order, as the snapshot has. */
function layers(turns: readonly unknown[]) {
  return [
    { name: 'prompt', type: 'plain.prompt', config: { user: 'Deploy version 7 when the time is right.' } },
    { name: 'history', type: 'pydantic_ai.history' },
    { name: 'ask_human', type: 'dify.ask_human' },
    { name: 'llm', type: 'test.scripted_llm', config: { turns } },
  ];
}

const question = {
  question: 'May I deploy version 7 now?',
  fields: [{ type: 'paragraph', name: 'why', label: 'Why?' }],
};
const asking = { items: [{ tool_call: { id: 'call_1', name: 'ask_human', arguments: question } }] };

async function main(baseUrl: string, answer: string): Promise<void> {
  const asked = await runToEnd(baseUrl, { composition: { layers: layers([asking]) } });
  if (asked.deferred_tool_call === undefined) throw new Error('the model did not ask');
  const { tool_call_id: callId, args } = asked.deferred_tool_call;
  show(args);

  // The value is up to you: the model gets it as it is. `calls` names the question that it answers.
  const value = { status: 'submitted', action: { id: args.actions[0]?.id, label: 'Submit' }, values: { why: answer } };
  const answered = await runToEnd(baseUrl, {
    composition: { layers: layers([{ items: [{ text: `You said: ${answer}` }] }]) },
    session_snapshot: asked.session_snapshot,
    deferred_tool_results: { calls: { [callId]: value } },
  });
  console.log(`answer: ${answered.output}`);
  if (answered.session_snapshot !== undefined) await endSession(baseUrl, answered.session_snapshot);
}

function show({ question: text, fields, actions }: Question): void {
  console.log(`question: ${text}`);
  for (const field of fields) console.log(`  ${field.label} ____ (${field.type})`);
  console.log(`  ${actions.map(({ label }) => `[${label}]`).join(' ')}`);
}

/**
 * Ends a session: without a layer named `llm`, a run only enters its layers and exits them, here with `delete`. The model
 * layer, whose credentials nobody keeps, is left out of both lists.
 */
async function endSession(baseUrl: string, snapshot: SessionSnapshot): Promise<void> {
  const left = snapshot.layers.filter(({ name }) => name !== 'llm');
  const { session_snapshot: end } = await runToEnd(baseUrl, {
    composition: { layers: layers([]).filter(({ name }) => name !== 'llm') },
    session_snapshot: { ...snapshot, layers: left },
    on_exit: { default: 'delete' },
  });
  console.log(`session over: ${end?.layers.map(({ name, lifecycle_state: state }) => `${name} ${state}`).join(', ')}`);
}

if (import.meta.main) {
  void main(process.argv[2] ?? process.env.BASE_URL ?? 'http://127.0.0.1:8000', process.argv[3] ?? 'Yes.');
}
