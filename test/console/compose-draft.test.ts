// The draft: forms and text are one document, secrets stay out of both and are posted all the same, layers are added, moved,
// renamed and removed without loss.

import { describe, expect, test } from 'bun:test';
import { catalogue } from '../../src/console/compose/catalogue.ts';
import { at, get, print, text, textOf } from '../../src/console/compose/document.ts';
import { createDraft, type Draft } from '../../src/console/compose/draft.ts';
import { beginning, renamed, withLayer } from '../../src/console/compose/layers.ts';
import { nodeOf, plainOf, readJson } from '../../src/console/compose/reader.ts';

const known = catalogue();
const KEY = 'sk-a-very-secret-key';

const prompt = { name: 'prompt', type: 'plain.prompt', config: { user: 'Hi' } };
const context = { name: 'who', type: 'dify.execution_context', config: { tenant_id: 't' } };
const plugin = {
  name: 'llm',
  type: 'dify.plugin.llm',
  deps: { execution_context: 'who' },
  config: { plugin_id: 'a/b', model_provider: 'b', model: 'c', credentials: { openai_api_key: KEY, tries: 3 } },
};
const request = { composition: { layers: [prompt, context, plugin] } };

/** What would be posted, as JSON. */
const posted = (draft: Draft): string => JSON.stringify(draft.request());

describe('one document', () => {
  test('forms change the text and nothing else in it', () => {
    const draft = createDraft(known, { layers: [] });
    draft.type(
      '{"composition":{"layers":[{"name":"p","type":"plain.prompt","config":{"user":"x","odd":1.0}}],"n":1e3}}',
    );
    draft.edit(['composition', 'layers', 0, 'config', 'user'], text('y'));
    expect(draft.text.value.replace(/\s/g, '')).toBe(
      '{"composition":{"layers":[{"name":"p","type":"plain.prompt","config":{"user":"y","odd":1.0}}],"n":1e3}}',
    );
    expect(posted(draft)).toBe(draft.text.value.replace(/\s/g, ''));
  });

  test('a text that is no JSON keeps the last tree, and posts nothing', () => {
    const draft = createDraft(known, request);
    const before = draft.root.value;
    draft.type('{"composition": ');
    expect(draft.reading.value.fault?.message).toBe('A value is missing here.');
    expect(draft.root.value).toBe(before);
    expect(draft.request()).toBeNull();
    expect(draft.issues.value).toEqual([]);
    draft.type('[1]');
    expect(draft.request()).toBeNull();
  });

  test('a composition alone is posted as a request, and becomes one when it gets an option', () => {
    const draft = createDraft(known, request.composition);
    expect(draft.isRequest.value).toBe(false);
    expect(posted(draft)).toBe(JSON.stringify(request));
    draft.editRequest(['purpose'], text('babysit'));
    expect(draft.isRequest.value).toBe(true);
    expect(posted(draft)).toBe(JSON.stringify({ ...request, purpose: 'babysit' }));
  });
});

describe('secrets', () => {
  test('leave the document for the vault when it is opened; the request has them', () => {
    const draft = createDraft(known, request);
    expect(draft.text.value).not.toContain(KEY);
    expect(draft.text.value).toContain('<secret: openai_api_key>');
    expect(draft.text.value).toContain('<secret: tries>');
    expect(print(draft.shown.value)).not.toContain(KEY);
    expect(posted(draft)).toBe(JSON.stringify(request));
    expect(draft.issues.value).toEqual([]);
  });

  test('typed into a form never enter the text', () => {
    const draft = createDraft(known, request);
    const path = ['composition', 'layers', 2, 'config', 'credentials', 'openai_api_key'];
    for (const typed of ['n', 'ne', 'new']) {
      draft.setSecret(path, text(typed));
      expect(textOf(at(draft.root.value, path))).toBe('<secret: openai_api_key>');
      expect(draft.secretAt(path)).toBe(typed);
    }
    expect(posted(draft)).toContain('"openai_api_key":"new"');
    draft.setSecret(path, text(''));
    expect(posted(draft)).toContain('"openai_api_key":""');
  });

  test('pasted into the text leave it when the text is left, and are out of snippets before', () => {
    const draft = createDraft(known, { layers: [prompt] });
    draft.type(JSON.stringify(request));
    expect(print(draft.shown.value)).not.toContain(KEY);
    draft.settle();
    expect(draft.text.value).not.toContain(KEY);
    expect(posted(draft)).toBe(JSON.stringify(request));
  });

  test('of two layers are two, though their names are one; a copy of a layer parts from it when it is changed', () => {
    const other = { ...plugin, name: 'other', config: { ...plugin.config, credentials: { openai_api_key: 'second' } } };
    const two = { layers: [context, plugin, other] };
    const draft = createDraft(known, two);
    expect(draft.text.value).toContain('<secret: openai_api_key 2>');
    expect(JSON.stringify(draft.request()?.composition)).toBe(JSON.stringify(two));
    const copy = at(draft.root.value, ['layers', 1, 'config', 'credentials']);
    draft.edit(['layers', 2, 'config', 'credentials'], copy);
    draft.setSecret(['layers', 2, 'config', 'credentials', 'openai_api_key'], text('third'));
    expect(draft.secretAt(['layers', 1, 'config', 'credentials', 'openai_api_key'])).toBe(KEY);
    expect(draft.secretAt(['layers', 2, 'config', 'credentials', 'openai_api_key'])).toBe('third');
  });

  test('are in shells, headers and types that nobody knows, too; data that is called so is none', () => {
    const layers = [
      {
        name: 'shell',
        type: 'dify.shell',
        config: {
          env: [
            { name: 'API_TOKEN', value: 'tttt-1' },
            { name: 'LANG', value: 'C.UTF-8' },
          ],
          cli_tools: [{ env: [{ name: 'PASSWORD', value: 'pppp-2' }] }],
          sandbox: { config: { deep: { access_key: 'aaaa-3' } } },
        },
      },
      { name: 'x', type: 'of.another', config: { list: [{ client_secret: 'cccc-4', label: 'plain' }] } },
      {
        ...plugin,
        config: { ...plugin.config, model_settings: { extra_headers: { 'x-y': 'hhhh-5' }, max_tokens: 5 } },
      },
      {
        name: 's',
        type: 'test.scripted_llm',
        config: { turns: [], tools: [{ name: 't', results: [{ content: { token: 'data' } }] }] },
      },
    ];
    const draft = createDraft(known, { layers });
    const shown = draft.text.value;
    for (const secret of ['tttt-1', 'pppp-2', 'aaaa-3', 'cccc-4', 'hhhh-5', KEY]) expect(shown).not.toContain(secret);
    for (const plain of ['C.UTF-8', '"plain"', '"data"', '"max_tokens": 5', '<secret: API_TOKEN>'])
      expect(shown).toContain(plain);
    expect(JSON.stringify(draft.request()?.composition)).toBe(JSON.stringify({ layers }));
  });

  test('a placeholder elsewhere is a text like any other, and one without a value is told', () => {
    const draft = createDraft(known, request);
    draft.edit(['composition', 'layers', 0, 'config', 'user'], text('<secret: openai_api_key>'));
    expect(draft.request()?.composition.layers[0]?.config).toEqual({ user: '<secret: openai_api_key>' });
    const again = createDraft(known, JSON.parse(draft.text.value));
    expect(again.issues.value.map(({ path }) => path.at(-1))).toEqual(['openai_api_key', 'tries']);
  });

  test('names of secrets are made harmless', () => {
    const draft = createDraft(known, {
      layers: [{ ...plugin, config: { ...plugin.config, credentials: { '<secret: x> \u202e': 'v' } } }],
    });
    expect(draft.text.value).toContain('"<secret: _secret_x_>"');
  });
});

describe('undo', () => {
  test('brings a layer back to its place, whatever was changed since', () => {
    const draft = createDraft(known, request);
    draft.remove(['composition', 'layers', 0], 'Removed.');
    draft.edit(['composition', 'layers', 0, 'name'], text('someone'));
    draft.undo.value?.restore();
    const names = draft.request()?.composition.layers.map(({ name }) => name);
    expect(names).toEqual(['prompt', 'someone', 'llm']);
    expect(draft.undo.value).toBeNull();
  });

  test('brings a key back between its neighbours, and everything after a preset, secrets too', () => {
    const draft = createDraft(known, request);
    draft.remove(['composition', 'layers', 2, 'config', 'model_provider'], 'Removed.');
    draft.undo.value?.restore();
    expect(posted(draft)).toBe(JSON.stringify(request));
    draft.replace({ layers: [] }, 'Begun anew.');
    draft.undo.value?.restore();
    expect(posted(draft)).toBe(JSON.stringify(request));
  });

  test('of something whose place is gone, or taken, changes nothing', () => {
    const draft = createDraft(known, request);
    draft.remove(['composition', 'layers', 2, 'config', 'model'], 'Removed.');
    draft.edit(['composition', 'layers', 2, 'config', 'model'], text('new'));
    const before = posted(draft);
    draft.undo.value?.restore();
    expect(posted(draft)).toBe(before);
  });
});

describe('layers', () => {
  const layersOf = (node: ReturnType<typeof nodeOf>) =>
    plainOf(node) as readonly { readonly name: string; readonly type: string; readonly deps?: unknown }[]; // as withLayer makes them

  test('a layer comes with what it needs, under the names that the server wants', () => {
    const layers = layersOf(withLayer(known, nodeOf([prompt]), 'dify.plugin.llm'));
    expect(layers.map(({ name, deps }) => [name, deps])).toEqual([
      ['prompt', undefined],
      ['execution_context', undefined],
      ['llm', { execution_context: 'execution_context' }],
    ]);
    expect(layersOf(withLayer(known, nodeOf([prompt]), 'plain.prompt'))[1]?.name).toBe('prompt_2');
    expect(layersOf(withLayer(known, nodeOf([context]), 'dify.shell'))[1]?.deps).toEqual({ execution_context: 'who' });
  });

  test('every type begins with something that fits its schema', () => {
    for (const { type } of known.layers) {
      const draft = createDraft(known, { layers: plainOf(withLayer(known, undefined, type)) });
      const issues = draft.issues.value.filter(({ message }) => !/model is missing|history/.test(message));
      expect([type, issues]).toEqual([type, []]);
    }
    for (const schema of Object.values(known.request.properties ?? {}))
      expect(() => print(beginning(schema))).not.toThrow();
  });

  test('what depends on a layer follows its new name, and its exit does', () => {
    const root = nodeOf({ ...request, on_exit: { layers: { who: 'delete' } } });
    const draft = createDraft(known, plainOf(renamed(root, ['composition'], 1, 'me')));
    expect(draft.issues.value).toEqual([]);
    expect(posted(draft)).toContain('"deps":{"execution_context":"me"}');
    expect(posted(draft)).toContain('"on_exit":{"layers":{"me":"delete"}}');
  });

  test('but not where two layers have one name', () => {
    const root = nodeOf({ layers: [context, prompt, plugin] });
    const clash = renamed(root, [], 0, 'prompt');
    expect(textOf(at(clash, ['layers', 2, 'deps', 'execution_context']))).toBe('who');
    const apart = renamed(clash, [], 1, 'other');
    expect(textOf(get(at(apart, ['layers', 1]), 'name'))).toBe('other');
  });
});

test('random edits of random documents lose nothing that was not edited', () => {
  let seed = 7;
  const random = (below: number): number => {
    seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
    return seed % below;
  };
  const value = (depth: number): string => {
    const kind = random(depth > 3 ? 4 : 6);
    if (kind === 0) return ['1.0', '-0', '1e30', '12345678901234567890', '0.1'][random(5)] ?? '0';
    if (kind === 1) return JSON.stringify(['', 'a"b', '\u2028\\', '😀', '\ud800'][random(5)]);
    if (kind < 4) return ['true', 'null'][kind - 2] ?? 'null';
    const parts = Array.from({ length: random(4) }, (_, index) =>
      kind === 4 ? value(depth + 1) : `${JSON.stringify(`k${index}`)}:${value(depth + 1)}`,
    );
    return kind === 4 ? `[${parts.join(',')}]` : `{${parts.join(',')}}`;
  };
  for (let round = 0; round < 200; round += 1) {
    const free = value(0);
    const draft = createDraft(known, { layers: [] });
    draft.type(`{"layers":[{"name":"p","type":"plain.prompt","metadata":{"free":${free}},"config":{"user":"x"}}]}`);
    draft.edit(['layers', 0, 'config', 'user'], text(`edited ${round}`));
    const { root } = readJson(free);
    if (root === null) throw new Error(`not JSON: ${free}`);
    expect(print(at(draft.root.value, ['layers', 0, 'metadata', 'free']) ?? root)).toBe(print(root));
  }
});
