// Bodies to begin with, for whoever explores the API: they stand beside the schemas in the OpenAPI document, where `/docs` offers
// them. Each is accepted as it is (test/server/examples.test.ts posts them); what a run then needs is said in its summary.

/** One example of a body. */
export interface BodyExample {
  readonly summary: string;
  readonly value: object;
}

const prompt = (user: string) => ({ name: 'prompt', type: 'plain.prompt', config: { user } });
const context = {
  name: 'context',
  type: 'dify.execution_context',
  config: {
    tenant_id: 'tenant-1',
    user_id: 'user-1',
    user_from: 'account',
    agent_mode: 'workflow_run',
    invoke_from: 'service-api',
  },
};
const pluginModel = {
  name: 'llm',
  type: 'dify.plugin.llm',
  deps: { execution_context: 'context' },
  config: {
    plugin_id: 'langgenius/openai',
    model_provider: 'openai',
    model: 'gpt-4o-mini',
    credentials: { openai_api_key: 'sk-…' },
  },
};
const scriptedModel = (...turns: readonly object[]) => ({ name: 'llm', type: 'test.scripted_llm', config: { turns } });

const hello: BodyExample = {
  summary: 'A scripted model: needs no key (DIFY_AGENT_ENABLE_SCRIPTED_MODEL=true)',
  value: {
    composition: {
      layers: [
        prompt('Say hello.'),
        scriptedModel({ items: [{ text: 'Hello' }, { text: ', world.', delay_ms: 300 }] }),
      ],
    },
  },
};
const model: BodyExample = {
  summary: 'A model of the plugin daemon, with history',
  value: {
    composition: {
      layers: [prompt('Say hello.'), context, { name: 'history', type: 'pydantic_ai.history' }, pluginModel],
    },
  },
};
const structured: BodyExample = {
  summary: 'An answer as data (scripted)',
  value: {
    composition: {
      layers: [
        prompt('How warm is it?'),
        scriptedModel({ items: [{ tool_call: { id: 'call_1', name: 'final_output', arguments: { celsius: 21 } } }] }),
        {
          name: 'output',
          type: 'dify.output',
          config: {
            json_schema: {
              type: 'object',
              properties: { celsius: { type: 'number' } },
              required: ['celsius'],
              additionalProperties: false,
            },
          },
        },
      ],
    },
  },
};

/** What names a workspace: the layers and the snapshot that a run would be resumed with. */
const locator = {
  composition: {
    layers: [context, { name: 'shell', type: 'dify.shell', deps: { execution_context: 'context' }, config: {} }],
  },
  session_snapshot: {
    layers: [
      { name: 'context', lifecycle_state: 'suspended', runtime_state: {} },
      {
        name: 'shell',
        lifecycle_state: 'suspended',
        runtime_state: {
          session_id: '0a1b2c3',
          workspace_cwd: '~/workspace/0a1b2c3',
          job_ids: [],
          job_offsets: {},
        },
      },
    ],
  },
};

const answer: BodyExample = {
  summary: 'The answer to the question that the session waits for',
  value: {
    composition: {
      layers: [
        prompt('Order tea.'),
        { name: 'history', type: 'pydantic_ai.history' },
        scriptedModel({ items: [{ text: 'Ordered.' }] }),
        { name: 'ask_human', type: 'dify.ask_human' },
      ],
    },
    deferred_tool_results: {
      calls: { call_1: { status: 'submitted', action: { id: 'order', label: 'Order' }, values: {} } },
    },
  },
};

/** By operation id, then by a name. */
export const BODY_EXAMPLES: Readonly<Record<string, Readonly<Record<string, BodyExample>>>> = {
  create_run_runs_post: { hello, model, structured },
  cancel_run_runs__run_id__cancel_post: {
    cancel: { summary: 'With what the event will say', value: { reason: 'user', message: 'Stopped by the user' } },
    plain: { summary: 'Without a reason', value: {} },
  },
  list_sandbox_files: { list: { summary: 'The top of the workspace', value: { locator, path: '.' } } },
  read_sandbox_file: {
    read: { summary: 'The beginning of a file', value: { locator, path: 'notes.md', max_bytes: 65_536 } },
  },
  upload_sandbox_file: { upload: { summary: 'A file, as a file of Dify', value: { locator, path: 'report.pdf' } } },
  resume_session_sessions__key__resume_post: { answer },
  fork_session_sessions__key__fork_post: {
    fork: { summary: 'Another session that goes on from here', value: { key: 'conversation-8', workspaces: 'new' } },
  },
  create_connection_agent_stub_connections_post: {
    hello: {
      summary: 'What the command-line tool says first',
      value: { protocol_version: 1, argv: ['file', 'upload'] },
    },
  },
  create_file_upload_request_agent_stub_files_upload_request_post: {
    upload: { summary: 'A place for a file', value: { filename: 'report.pdf', mimetype: 'application/pdf' } },
  },
  create_file_download_request_agent_stub_files_download_request_post: {
    remote: {
      summary: 'A file from elsewhere',
      value: { file: { transfer_method: 'remote_url', url: 'https://example.com/report.pdf' } },
    },
  },
};

/** The operation with the examples that there are for it. Anything but an operation with a JSON body stays as it is. */
export function withExamples<D extends object>(detail: D): D {
  const { operationId, requestBody } = detail as {
    readonly operationId?: string;
    readonly requestBody?: { readonly content?: { readonly 'application/json'?: object } };
  }; // an OpenAPI operation, as operation.ts builds it
  const examples = BODY_EXAMPLES[operationId ?? ''];
  const media = requestBody?.content?.['application/json'];
  if (examples === undefined || media === undefined) return detail;
  return { ...detail, requestBody: { ...requestBody, content: { 'application/json': { ...media, examples } } } };
}
