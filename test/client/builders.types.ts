// What the compiler must refuse, checked by `npm run types`: each line below an @ts-expect-error has one fault. Never run.

import {
  askHuman,
  type CreateRunRequest,
  cleanupComposition,
  composition,
  executionContext,
  history,
  isTerminal,
  type Layer,
  output,
  plainPrompt,
  pluginLlm,
  pluginTools,
  type RunEvent,
  scriptedLlm,
  shell,
} from '../../src/client/index.ts';

const context = executionContext({ tenant_id: 't' });
const other = executionContext({ name: 'other', tenant_id: 't' });
const model = { plugin_id: 'a/b', model_provider: 'b', model: 'm' } as const;
const llm = pluginLlm({ context, ...model });
const tool = { plugin_id: 'a/b', provider: 'b', tool_name: 't', credential_type: 'unauthorized' } as const;

export function accepted(some: readonly Layer[], name: string): readonly CreateRunRequest[] {
  return [
    { composition: composition([plainPrompt({ user: 'Hi' }), context, llm, history()]) },
    { composition: composition([other, pluginLlm({ context: other, ...model }), shell({ context: other })]) },
    {
      composition: composition([
        scriptedLlm({ turns: [] }),
        shell(),
        askHuman(),
        output({ json_schema: { type: 'object' } }),
      ]),
    },
    // Names that the compiler does not know are checked when it runs.
    { composition: composition(some) },
    { composition: composition([plainPrompt({ name, user: 'x' }), plainPrompt({ name, user: 'y' }), context, llm]) },
    { composition: composition([...some, context, llm]) },
    // Layers of other servers are plain objects.
    { composition: composition([{ name: 'x', type: 'my.layer', config: { a: [1, null] } }, context, llm]) },
    {
      composition: cleanupComposition([context, history()]),
      on_exit: { default: 'delete', layers: { history: 'suspend' } },
    },
  ];
}

export function refused(event: RunEvent): void {
  // @ts-expect-error no layer is named llm
  composition([plainPrompt({ user: 'Hi' }), history()]);
  // @ts-expect-error there is nothing at all
  composition([]);
  // @ts-expect-error the context is missing
  composition([llm]);
  // @ts-expect-error the context comes after the layer that needs it
  composition([llm, context]);
  // @ts-expect-error another context than the one that is needed
  composition([other, llm]);
  // @ts-expect-error two layers with one name
  composition([context, llm, plainPrompt({ user: 'a' }), plainPrompt({ user: 'b' })]);
  // @ts-expect-error two models
  composition([context, llm, scriptedLlm({ turns: [] })]);

  // @ts-expect-error a history is no context
  pluginLlm({ context: history(), ...model });
  // @ts-expect-error a model needs a context
  pluginLlm({ ...model });
  // @ts-expect-error a name is no layer
  pluginTools({ context: 'execution_context', tools: [] });
  // @ts-expect-error a prompt is no context
  shell({ context: plainPrompt({ user: 'x' }) });

  // @ts-expect-error an unknown option
  plainPrompt({ user: 'x', system: 'y' });
  // @ts-expect-error a tenant is needed
  executionContext({});
  // @ts-expect-error not one of the sources
  executionContext({ tenant_id: 't', invoke_from: 'nowhere' });
  // @ts-expect-error the name is fixed
  history({ name: 'past' });
  // @ts-expect-error the name is fixed
  pluginLlm({ name: 'model', context, ...model });
  // @ts-expect-error an unknown setting
  pluginLlm({ context, ...model, model_settings: { temprature: 1 } });
  // @ts-expect-error a setting of another type
  pluginLlm({ context, ...model, model_settings: { stop_sequences: 'END' } });
  // @ts-expect-error credentials are scalars
  pluginLlm({ context, ...model, credentials: { key: ['a'] } });
  // @ts-expect-error a tool needs to say how it is authorised
  pluginTools({ context, tools: [{ plugin_id: 'a/b', provider: 'b', tool_name: 't' }] });
  // @ts-expect-error not one of the types of parameters
  pluginTools({ context, tools: [{ ...tool, parameters: [{ name: 'p', type: 'text', form: 'llm' }] }] });
  // @ts-expect-error the schema is of an object
  output({ json_schema: { type: 'array' } });
  // @ts-expect-error an unknown type of field
  askHuman({ allowed_field_types: ['checkbox'] });
  // @ts-expect-error a variable has a name
  shell({ env: [{ value: 'x' }] });
  // @ts-expect-error an unknown option
  shell({ image: 'alpine' });
  // @ts-expect-error turns are needed
  scriptedLlm({});
  // @ts-expect-error an unknown option
  scriptedLlm({ turns: [], temperature: 1 });
  // @ts-expect-error an item has no such content
  scriptedLlm({ turns: [{ items: [{ say: 'x' }] }] });

  if (event.type === 'run_succeeded') {
    if (event.data.deferred_tool_call === undefined) void event.data.output;
    // @ts-expect-error a success has no error
    void event.data.error;
  }
  // @ts-expect-error only terminal events end a run
  if (!isTerminal(event)) void event.data.session_snapshot;
}
