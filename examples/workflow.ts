// A workflow with two agents, as the Agent nodes of a Dify workflow: the first collects facts as an object, the second writes about
// them; a review sends the second one back to its own conversation. When the workflow is over, one call cleans up both.
//
// Needs a running server that has the scripted model: README.md of this folder starts one.
//
//   npx bun examples/workflow.ts          (another address: npx bun examples/workflow.ts http://127.0.0.1:5050)
//
// In a program of your own the imports are 'dify-agent/client' and 'dify-agent/sessions'; here they are the source, so that nothing
// has to be built.

import {
  Client,
  type CreateRunRequest,
  composition,
  history,
  type JsonValue,
  output,
  plainPrompt,
  scriptedLlm,
} from '../src/client/index.ts';
import { AgentSessions, memorySessionStore } from '../src/sessions/index.ts';

/** The owner of both sessions: what ends when the workflow run ends. */
const owner = { tenant: 'example', ownerKind: 'workflow_run', ownerId: `wr-${process.pid}` };

const facts = { river: 'Danube', km: 2850 };

/** Node 1: its answer fits a schema. */
function research(): CreateRunRequest {
  return {
    composition: composition([
      plainPrompt({ prefix: 'Collect facts.', user: 'The river of Vienna.' }),
      history(),
      scriptedLlm({ turns: [{ items: [{ tool_call: { id: 'call_1', name: 'final_output', arguments: facts } }] }] }),
      output({
        json_schema: {
          type: 'object',
          properties: { river: { type: 'string' }, km: { type: 'number' } },
          required: ['river', 'km'],
        },
      }),
    ]),
    purpose: 'workflow_node',
    // Names this execution of this node: a worker that died and comes back goes on with the same run.
    idempotency_key: `${owner.ownerId}:research`,
  };
}

/** Node 2. `says` is what the scripted model answers. */
function write(task: string, says: string): CreateRunRequest {
  return {
    composition: composition([
      plainPrompt({ prefix: 'Write one sentence.', user: task }),
      history(),
      scriptedLlm({ turns: [{ items: [{ text: says }] }] }),
    ]),
    purpose: 'workflow_node',
  };
}

async function main(baseUrl: string): Promise<void> {
  const client = new Client({ baseUrl, token: process.env.DIFY_AGENT_API_TOKEN ?? '' });
  const sessions = new AgentSessions({ client, store: memorySessionStore() });
  const node = async (slot: string, build: () => CreateRunRequest): Promise<JsonValue> => {
    const result = await sessions.run({ ...owner, slot }, build);
    if (result.kind === 'output') return result.output;
    throw new Error(`node ${slot}: ${result.kind}${result.kind === 'failed' ? ` (${result.error})` : ''}`);
  };
  try {
    const found = await node('research', research);
    console.log(`research: ${JSON.stringify(found)}`);
    const draft = await node('writer', () => write(`Use ${JSON.stringify(found)}`, 'The Danube is long.'));
    console.log(`writer: ${draft}`);
    // The second turn of the same slot: the agent still knows what it wrote.
    console.log(`writer: ${await node('writer', () => write('Say how long.', 'The Danube is 2850 km long.'))}`);
  } finally {
    // However the workflow ended. What the server does not confirm now stays owed, and `sessions.drain()` tries it again.
    const { cleaned, failed } = await sessions.end(owner);
    console.log(`cleaned up ${cleaned}, still owed ${failed.length}`);
  }
}

if (import.meta.main) void main(process.argv[2] ?? process.env.BASE_URL ?? 'http://127.0.0.1:8000');
