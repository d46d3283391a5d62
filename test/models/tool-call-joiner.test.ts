import { describe, expect, test } from 'bun:test';
import type { ModelDelta } from '../../src/agent/model.ts';
import { createToolCallJoiner } from '../../src/models/tool-call-joiner.ts';

/** `[id, name, args]` of each fragment in; `key id name args` of each delta out. */
function join(...fragments: readonly (readonly [unknown, string, string])[]): readonly string[] {
  let made = 0;
  const joiner = createToolCallJoiner(() => {
    made += 1;
    return `new${made}`;
  });
  const out: ModelDelta[] = [];
  for (const [id, name, args] of fragments) joiner.add({ id, name, args }, out);
  joiner.settle(out);
  return out.map((delta) =>
    delta.kind === 'tool_call' ? `${delta.key} ${delta.id} ${delta.name} ${delta.args}` : delta.kind,
  );
}

describe('tool calls', () => {
  test('with ids of their own are calls of their own', () => {
    expect(join(['a', 'f', '{}'], ['b', 'g', '{"x":1}'])).toEqual(['call-0 a f {}', 'call-1 b g {"x":1}']);
  });

  test('repeated whole under their id are replaced', () => {
    expect(join(['a', 'f', '{"x":'], ['a', 'f', '{"x":2}'])).toEqual(['call-0 a f {"x":', 'call-0 a f {"x":2}']);
    expect(join(['a', 'f', '{"x":1}'], ['a', 'f', '{"x":2}'])).toEqual(['call-0 a f {"x":1}', 'call-0 a f {"x":2}']);
  });

  test('streamed in pieces are put together, and handed out once they are whole', () => {
    expect(join(['a', 'f', ''], ['a', '', '{"x":'], ['a', '', '"}"'], ['a', '', '}'])).toEqual([
      'call-0 a f ',
      'call-0 a f {"x":"}"}',
    ]);
    expect(join(['a', 'f', '{"x"'], ['a', 'f', ':1}'])).toEqual(['call-0 a f {"x"', 'call-0 a f {"x":1}']);
  });

  test('in very many pieces that end in braces cost no more than their length', () => {
    const pieces = new Array<readonly [string, string, string]>(100_000).fill(['a', '', '}']);
    const [, whole] = join(['a', 'f', '{"x":"'], ...pieces, ['a', '', '"}']);
    expect(whole).toBe(`call-0 a f {"x":"${'}'.repeat(100_000)}"}`);
  });

  test('that stay incomplete are handed out at the end', () => {
    expect(join(['a', 'f', ''], ['a', '', '{"x":'], ['a', '', '1'])).toEqual(['call-0 a f ', 'call-0 a f {"x":1']);
  });

  test('in pieces that take turns keep apart', () => {
    expect(
      join(['a', 'f', ''], ['b', 'g', ''], ['a', '', '{'], ['b', '', '['], ['a', '', '}'], ['b', '', ']']),
    ).toEqual(['call-0 a f ', 'call-1 b g ', 'call-0 a f {', 'call-1 b g [', 'call-0 a f {}', 'call-1 b g []']);
  });

  test.each([undefined, null, '', ' ', 'None', 'null', 'NULL', 'none'])('without an id (%j) get one', (id) => {
    expect(join([id, 'f', '{"c":"A"}'], [id, 'f', '{"c":"B"}'])).toEqual([
      'call-0 new1 f {"c":"A"}',
      'call-1 new2 f {"c":"B"}',
    ]);
  });

  test('without id and name continue the call before them', () => {
    expect(join(['a', 'f', '{"x":'], ['', '', '1}'])).toEqual(['call-0 a f {"x":', 'call-0 a f {"x":1}']);
    expect(join([null, 'f', ''], [null, '', '{}'])).toEqual(['call-0 new1 f ', 'call-0 new1 f {}']);
    expect(join(['', '', '{}'])).toEqual(['call-0 new1  {}']);
  });

  test('that share one constant id under different names are different calls', () => {
    expect(join(['x', 'f', '{}'], ['x', 'g', '{"a":'], ['x', '', '1}'])).toEqual([
      'call-0 x f {}',
      'call-1 new1 g {"a":',
      'call-1 new1 g {"a":1}',
    ]);
  });

  test('whose id is no text are known by its JSON', () => {
    expect(join([7, 'f', ''], [7, '', '{}'])).toEqual(['call-0 7 f ', 'call-0 7 f {}']);
  });

  test('whose name comes late get it', () => {
    expect(join(['a', '', ''], ['a', 'f', '{}'])).toEqual(['call-0 a  ', 'call-0 a f {}']);
  });
});
