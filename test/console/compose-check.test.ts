// What is wrong with a composition, told at its place: the schemas, the layers as a whole, the server's own words; and that
// the catalogue in the bundle is what the server validates by.

import { describe, expect, test } from 'bun:test';
import { catalogue } from '../../src/console/compose/catalogue.ts';
import { checkDocument, type Issue } from '../../src/console/compose/check.ts';
import { at, object } from '../../src/console/compose/document.ts';
import { faultsOf, standing } from '../../src/console/compose/faults.ts';
import { checkGraph, RESERVED } from '../../src/console/compose/graph-check.ts';
import { KEYED_PRESETS, SCRIPTED_PRESETS } from '../../src/console/compose/presets.ts';
import { nodeOf } from '../../src/console/compose/reader.ts';
import { createLayerTypes } from '../../src/layers/registry.ts';
import { slotLayer } from '../../src/layers/slots.ts';
import { messageSchemas } from '../../src/protocol/messages.ts';
import { createRunRequest } from '../../src/protocol/runs.ts';
import { validate } from '../../src/validation/walker.ts';

const known = catalogue();

const line = ({ level, path, message }: Issue): string =>
  `${level === 'error' ? '' : '? '}${path.join('.')}: ${message}`;

function issuesOf(request: unknown): readonly string[] {
  const root = nodeOf(request);
  const isRequest = at(root, ['layers']) === undefined;
  const base = isRequest ? ['composition'] : [];
  const composition = at(root, base) ?? root;
  const whole = isRequest ? root : object([]);
  return [...checkDocument(known, root, isRequest), ...checkGraph(known, whole, composition, base)].map(line);
}

const prompt = { name: 'prompt', type: 'plain.prompt', config: { user: 'Hi' } };
const llm = { name: 'llm', type: 'test.scripted_llm', config: { turns: [{ items: [{ text: 'Hi' }] }] } };
const context = { name: 'who', type: 'dify.execution_context', config: { tenant_id: 't' } };
const plugin = {
  name: 'llm',
  type: 'dify.plugin.llm',
  deps: { execution_context: 'who' },
  config: { plugin_id: 'a/b', model_provider: 'b', model: 'c' },
};

const serverTypes = createLayerTypes({
  messages: messageSchemas({ now: () => '2026-01-01T00:00:00Z', toolCallId: () => 'id' }),
  createPluginModel: () => {
    throw new Error('no run here');
  },
  pluginDaemon: {} as Parameters<typeof createLayerTypes>[0]['pluginDaemon'], // no tool is called
  scriptedModel: true,
});

describe('the catalogue', () => {
  test('has every layer type of the server, with its words and dependencies', () => {
    expect(known.layers.map(({ type }) => type)).toEqual(serverTypes.map(({ typeId }) => typeId));
    for (const { type, summary, deps } of known.layers) {
      expect([type, summary.length > 10]).toEqual([type, true]);
      expect(deps).toEqual({ ...serverTypes.find(({ typeId }) => typeId === type)?.deps });
    }
  });

  test('fields say what they are, as the pages of the layers do', () => {
    const config = known.layers.find(({ type }) => type === 'dify.plugin.llm')?.config;
    expect(config?.properties?.plugin_id?.description).toContain('author/name');
    const turns = known.layers.find(({ type }) => type === 'test.scripted_llm')?.config.properties?.turns;
    expect(turns?.items?.properties?.error?.description).toContain('fails with this text');
  });

  test('names are reserved for the classes that the server takes there', () => {
    for (const [name, classes] of Object.entries(RESERVED)) {
      for (const { className } of serverTypes) {
        // Of a layer only its class name is looked at.
        const layers = new Map([[name, { className } as never]]);
        const take = () => slotLayer(layers, name as 'llm'); // RESERVED has the server's names, or this fails
        if (classes.includes(className)) expect(take).not.toThrow();
        else expect(take).toThrow();
      }
    }
  });

  test('is a few kilobytes', () => {
    expect(Bun.gzipSync(JSON.stringify(known)).length).toBeLessThan(8_000);
  });
});

describe('presets', () => {
  test('are what the server takes, and nothing is wrong with those that need no keys', () => {
    for (const { id, composition } of [...SCRIPTED_PRESETS, ...KEYED_PRESETS]) {
      expect([id, issuesOf({ composition })]).toEqual([id, []]);
      expect([id, validate(createRunRequest, { composition }).ok]).toEqual([id, true]);
      for (const layer of composition.layers) {
        const type = serverTypes.find(({ typeId }) => typeId === layer.type);
        const isValid = type !== undefined && validate(type.config, layer.config ?? {}).ok;
        expect([id, layer.name, isValid]).toEqual([id, layer.name, true]);
      }
    }
  });
});

describe('schemas', () => {
  test('a good request and a good composition', () => {
    expect(
      issuesOf({ composition: { layers: [prompt, llm] }, purpose: 'single_step', session_snapshot: null }),
    ).toEqual([]);
    expect(issuesOf({ layers: [prompt, context, plugin] })).toEqual([]);
  });

  test.each([
    [{ composition: { layers: 1 } }, ['composition.layers: This should be a list.']],
    [{ nope: 1 }, [': “composition” is missing.', 'nope: There is no such key here.']],
    [{ layers: [prompt, llm], schema_version: 'x' }, ['schema_version: This should be a whole number.']],
    [
      { composition: { layers: [prompt, llm] }, on_exit: { default: 'keep' }, metadata: null },
      ['on_exit.default: This should be "delete" or "suspend".', 'metadata: Null does not fit: an object.'],
    ],
    [
      { layers: [{ ...prompt, config: { usr: 'x', user: 4 } }, llm] },
      [
        'layers.0.config.usr: There is no such key here. Is “user” meant?',
        'layers.0.config.user: This should be a list of texts or a text.',
      ],
    ],
    [
      { layers: [prompt, { ...llm, config: { turns: [{ items: [{ text: 'x', repeat: 0, delay_ms: 1.5 }] }] } }] },
      [
        'layers.1.config.turns.0.items.0.repeat: This should be at least 1.',
        'layers.1.config.turns.0.items.0.delay_ms: This should be a whole number.',
      ],
    ],
    [
      {
        layers: [
          context,
          { ...plugin, config: { ...plugin.config, model_settings: { thinking: 'hard', top_p: null } } },
        ],
      },
      [
        'layers.1.config.model_settings.thinking: This should be true, false, "minimal", "low", "medium", "high" or "xhigh".',
        'layers.1.config.model_settings.top_p: Null does not fit: a number.',
      ],
    ],
    [
      { layers: [context, { ...plugin, config: { ...plugin.config, credentials: { key: ['x'] } } }] },
      ['layers.1.config.credentials.key: This should be a text, a whole number, a number, true or false.'],
    ],
    [{ layers: [{ ...prompt, config: null }, llm] }, []],
    [{ layers: [{ ...context, config: null }, plugin] }, ['layers.0.config: Null does not fit: an object.']],
    [{ layers: [{ ...prompt, config: '{"user": "as text"}' }, llm] }, []],
  ])('%j', (request, expected) => {
    expect(issuesOf(request)).toEqual(expected);
  });

  test('a key that occurs twice is told once', () => {
    const root = nodeOf({ layers: [prompt, llm] });
    const members = root.kind === 'object' ? root.members : [];
    const issues = checkDocument(known, { ...object([]), members: [...members, ...members] }, false);
    expect(issues.map(line)).toEqual(['? layers: This key occurs twice; the last one counts.']);
  });

  test('the number of issues is bounded', () => {
    const layers = Array.from({ length: 5_000 }, () => ({ name: 1, type: 2 }));
    expect(checkDocument(known, nodeOf({ layers }), false).length).toBe(200);
  });
});

describe('layers as a whole', () => {
  test.each([
    [[prompt, prompt, llm], ['layers.1.name: Another layer has this name.']],
    [[prompt], ['layers: A model is missing: a layer with the name “llm”.']],
    [[{ ...prompt, name: '' }, llm], ['layers.0.name: A layer needs a name.']],
    [[{ ...prompt, name: 'output' }, llm], ['layers.0.name: The name “output” is kept for a layer of another type.']],
    [
      [prompt, { ...llm, name: 'model' }],
      [
        'layers.1.name: A layer of this type must have the name “llm”.',
        'layers: A model is missing: a layer with the name “llm”.',
      ],
    ],
    [
      [prompt, llm, { name: 'x', type: 'of.another.server' }],
      ['? layers.2.type: This page knows no such type; the server may.'],
    ],
    [[context, { ...plugin, deps: {} }], ['layers.1: The dependency “execution_context” is missing.']],
    [[plugin, context], ['layers.0.deps.execution_context: A dependency must stand before the layer that needs it.']],
    [[plugin], ['layers.0.deps.execution_context: No layer has this name.']],
    [
      [{ ...prompt, name: 'who' }, plugin],
      ['layers.1.deps.execution_context: A layer of this type cannot be this dependency.'],
    ],
    [[{ ...prompt, deps: { a: 'prompt' } }, llm], ['layers.0.deps.a: A layer of this type has no such dependency.']],
    [
      [prompt, { name: 'ask', type: 'dify.ask_human' }, { name: 'ask2', type: 'dify.ask_human' }, llm],
      [
        'layers.2.type: Only one layer of this type is allowed.',
        '? layers.1.type: A question can only be answered with a “history” layer, which keeps it.',
      ],
    ],
  ])('%#', (layers, expected) => {
    expect(issuesOf({ layers })).toEqual(expected);
  });

  test('a run that only cleans up needs no model; exits name layers', () => {
    const session_snapshot = { layers: [] };
    expect(
      issuesOf({ composition: { layers: [context] }, session_snapshot, on_exit: { layers: { gone: 'delete' } } }),
    ).toEqual([
      '? composition.layers: Without a layer named “llm” the run only resumes its layers and leaves them.',
      'on_exit.layers.gone: No layer has this name.',
    ]);
  });
});

describe('what the server says', () => {
  const root = nodeOf({ composition: { layers: [{ ...prompt, nope: 1 }, { name: 'llm' }] } });
  const detail = [
    {
      type: 'extra_forbidden',
      loc: ['body', 'composition', 'layers', 0, 'nope'],
      msg: 'Extra inputs are not permitted',
    },
    { type: 'missing', loc: ['body', 'composition', 'layers', 1, 'type'], msg: 'Field required' },
    { type: 'dict_type', loc: ['body', 'composition', 'layers', 0, 'config', 'union[x]', 'user'], msg: 'Bad' },
  ];

  test('stands at the field that it is about', () => {
    expect(faultsOf(detail, root, true).map(({ issue }) => line(issue))).toEqual([
      'composition.layers.0.nope: Server: Extra inputs are not permitted.',
      'composition.layers.1: Server: “type” is missing.',
      'composition.layers.0.config.user: Server: Bad.',
    ]);
  });

  test('finds its place in a composition alone', () => {
    const composition = at(root, ['composition']) ?? root;
    expect(faultsOf(detail.slice(0, 1), composition, false)[0]?.issue.path).toEqual(['layers', 0, 'nope']);
  });

  test('is gone when its place has changed, and stays otherwise', () => {
    const faults = faultsOf(detail, root, true);
    const mended = nodeOf({ composition: { layers: [prompt, { name: 'llm', type: 'test.scripted_llm' }] } });
    expect(standing(faults, root)).toHaveLength(3);
    expect(standing(faults, mended).map(({ path }) => path.join('.'))).toEqual(['composition.layers.0.config.user']);
  });

  test('may be anything', () => {
    for (const odd of ['no', null, 5, {}, [null], [{}], [{ loc: 'x', msg: 5 }], [{ loc: [{}], msg: 'x' }]]) {
      expect(faultsOf(odd, root, true).length).toBeLessThanOrEqual(1);
    }
  });
});
