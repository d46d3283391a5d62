import { describe, expect, test } from 'bun:test';
import type { ModelDelta } from '../../src/agent/model.ts';
import { createThinkSplitter, splitListText } from '../../src/models/think-splitter.ts';

function split(...chunks: readonly string[]): readonly string[] {
  const splitter = createThinkSplitter();
  const out: ModelDelta[] = [];
  for (const text of chunks) splitter.push(text, out);
  splitter.flush(out);
  return out.map((delta) => ('text' in delta ? `${delta.kind}:${delta.text}` : delta.kind));
}

function splitList(text: string): readonly string[] {
  const out: ModelDelta[] = [];
  splitListText(text, out);
  return out.map((delta) => ('text' in delta ? `${delta.kind}:${delta.text}` : delta.kind));
}

describe('streamed thinking', () => {
  test('is what stands between the tags, newlines and all', () => {
    expect(split('<think>\nplan\n</think>ok')).toEqual(['thinking:\nplan\n', 'text:ok']);
    expect(split('<think>a</think>b<think>c</think>d')).toEqual(['thinking:a', 'text:b', 'thinking:c', 'text:d']);
  });

  test('is found when tags are cut between chunks', () => {
    expect(split('Hi <th', 'ink>plan</thi', 'nk>ok')).toEqual(['text:Hi ', 'thinking:plan', 'text:ok']);
    expect(split(...'x<think>y</think>z')).toEqual(['text:x', 'thinking:y', 'text:z']);
  });

  test('is not begun by something that only looks like a tag', () => {
    expect(split('a < b', ' <thin', 'g> <Think> </think>')).toEqual([
      'text:a < b',
      'text: ',
      'text:<thing> <Think> </think>',
    ]);
  });

  test('lasts to the end when it is never closed', () => {
    expect(split('<think>a', 'b')).toEqual(['thinking:a', 'thinking:b']);
  });

  test('or text that ends in half a tag gets it back at the end', () => {
    expect(split('value <thi')).toEqual(['text:value ', 'text:<thi']);
    expect(split('<think>x</th')).toEqual(['thinking:x', 'thinking:</th']);
  });

  test('yields nothing for empty pieces', () => {
    expect(split('', '<think></think>', '')).toEqual([]);
  });
});

describe('thinking in a content list', () => {
  test('is a part of its own without newlines around, when its pair is complete', () => {
    expect(splitList('a<think>\n\np\nq\n</think>b')).toEqual(['text:a', 'thinking_part:p\nq', 'text:b']);
    expect(splitList('<think>\n</think>b')).toEqual(['text:b']);
    expect(splitList('a<think>b')).toEqual(['text:a<think>b']);
    expect(splitList('a</think><think>b</think>')).toEqual(['text:a</think>', 'thinking_part:b']);
  });
});
