// What is suggested at the cursor. `|` is the cursor.

import { describe, expect, test } from 'bun:test';
import { catalogue } from '../../src/console/compose/catalogue.ts';
import { type Completion, complete } from '../../src/console/compose/complete.ts';
import { nodeOf, readJson } from '../../src/console/compose/reader.ts';

const known = catalogue();

function at(marked: string, whole: unknown = null): Completion | null {
  const cursor = marked.indexOf('|');
  return complete(known, marked.replace('|', ''), cursor, nodeOf(whole));
}

const labels = (marked: string, whole?: unknown): readonly string[] =>
  at(marked, whole)?.suggestions.map(({ label }) => label) ?? [];

/** The text after the first suggestion is taken, with the cursor. */
function taken(marked: string): string {
  const completion = at(marked);
  const [first] = completion?.suggestions ?? [];
  if (completion === null || first === undefined) return 'nothing';
  const source = marked.replace('|', '');
  const text = source.slice(0, completion.start) + first.insert + source.slice(completion.end);
  const cursor = completion.start + first.insert.length - first.back;
  return `${text.slice(0, cursor)}|${text.slice(cursor)}`;
}

describe('keys', () => {
  test('of the request, of a layer, of a configuration', () => {
    expect(labels('{|')).toContain('composition');
    expect(labels('{"composition": {"layers": [{|')).toEqual(['name', 'type', 'deps', 'metadata', 'config']);
    expect(labels('{"layers": [{"type": "plain.prompt", "config": {|')).toEqual(['prefix', 'user', 'suffix']);
    expect(labels('{"layers": [{"type": "test.scripted_llm", "config": {"turns": [{"items": [{"te|')).toEqual(['text']);
  });

  test('but not those that are there', () => {
    expect(labels('{"layers": [{"type": "plain.prompt", "config": {"user": "x", "|')).toEqual(['prefix', 'suffix']);
    expect(labels('{"layers": [{"type": "dify.plugin.llm", "config": {"model": "m", "mod|')).toEqual([
      'model_provider',
      'model_settings',
    ]);
  });

  test('say what they are', () => {
    const [first] = at('{"layers": [{"type": "dify.plugin.llm", "config": {"plugin|')?.suggestions ?? [];
    expect(first?.about).toContain('required; author/name');
  });

  test('through what may be null, and of the layers of a snapshot', () => {
    expect(labels('{"layers": [{"type": "dify.plugin.llm", "config": {"model_settings": {"temp|')).toEqual([
      'temperature',
    ]);
    expect(labels('{"session_snapshot": {"layers": [{"|')).toEqual(['name', 'lifecycle_state', 'runtime_state']);
  });
});

describe('values', () => {
  test('of types, with what they are', () => {
    const suggestions = at('{"layers": [{"name": "a", "type": "plug|')?.suggestions ?? [];
    expect(suggestions.map(({ label }) => label)).toEqual(['dify.plugin.llm', 'dify.plugin.tools']);
    expect(suggestions[0]?.about).toContain('plugin daemon');
  });

  test('of choices, booleans and null', () => {
    expect(labels('{"purpose": |')).toContain('fasten_preview');
    expect(labels('{"on_exit": {"layers": {"x": "|')).toEqual(['delete', 'suspend']);
    expect(labels('{"layers": [{"type": "dify.ask_human", "config": {"enabled": t|')).toEqual(['true']);
    expect(labels('{"layers": [{"type": "dify.execution_context", "config": {"user_from": |')).toEqual([
      'account',
      'end-user',
      'null',
    ]);
    expect(labels('{"layers": [{"type": "dify.ask_human", "config": {"allowed_field_types": ["select", "fi|')).toEqual([
      'file',
      'file-list',
    ]);
  });

  test('of dependencies: the names of layers', () => {
    const whole = { composition: { layers: [{ name: 'who' }, { name: 'llm' }] } };
    expect(
      labels('{"composition": {"layers": [{"type": "dify.shell", "deps": {"execution_context": "|', whole),
    ).toEqual(['who', 'llm']);
  });

  test('nothing where nothing is known, or something else is due', () => {
    for (const marked of [
      '|',
      '"|',
      '{"metadata": {"|',
      '{"a" |',
      '[1 |',
      '{"idempotency_key": "x|',
      '{"x": {"y": "|',
    ]) {
      expect([marked, labels(marked)]).toEqual([marked, []]);
    }
  });
});

describe('what is taken', () => {
  test.each([
    ['{"pur|', '{"purpose": |'],
    ['{pur|', '{"purpose": |'],
    ['{"pur|": 1}', '{"purpose"|: 1}'],
    ['{"compo|"}', '{"composition": {|}}'],
    [
      '{"layers": [{"type": "plain.prompt", "config": {|}}]}',
      '{"layers": [{"type": "plain.prompt", "config": {"prefix": []|}}]}',
    ],
    ['{"layers": [{"type": "plain.p|"}]}', '{"layers": [{"type": "plain.prompt"|}]}'],
    ['{"on_exit": {"default": sus|}}', '{"on_exit": {"default": "suspend"|}}'],
  ])('%s', (before, after) => {
    // Where the cursor stands in an empty list does not matter here.
    expect(taken(before).replace('[|]', '[]|')).toBe(after);
  });
});

test('any cursor in any beginning of a text is safe, and what is taken keeps JSON JSON', () => {
  const source = JSON.stringify({
    composition: {
      layers: [{ name: 'a"\\', type: 'plain.prompt', config: { user: ['x', '\u2028'] } }],
      schema_version: 1,
    },
  });
  for (let end = 0; end <= source.length; end += 1) {
    expect(() => complete(known, source.slice(0, end), end, null)).not.toThrow();
    const inside = complete(known, source, end, readJson(source).root);
    for (const { insert } of inside?.suggestions ?? []) expect(insert).not.toContain('\n');
  }
});

test('a long text is scanned in bounded time', () => {
  // Backslashes and quotes that never close are where such scanners go wrong.
  for (const part of ['"\\', '{"a":', '[', '\\"', 'x'])
    complete(known, part.repeat(50_000), part.length * 50_000, null);
}, 20_000);
