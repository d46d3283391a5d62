import { expect, test } from 'bun:test';
import { checkUserPrompts, composePrompts, userTurnContent } from '../../src/layers/prompts.ts';
import type { AgentLayer, LayerPrompts } from '../../src/layers/types.ts';

const layer = (prompts: Partial<LayerPrompts>): AgentLayer => ({
  className: 'X',
  state: {},
  prompts: { prefix: [], user: [], suffix: [], ...prompts },
});

test('prefixes run first to last, then suffixes last to first', () => {
  const layers = [
    layer({ prefix: ['a1', 'a2'], suffix: ['az'], user: ['ua'] }),
    layer({ prefix: ['<H>'] }),
    { className: 'Y', state: {} },
    layer({ prefix: ['b1'], suffix: ['by', 'bz'], user: ['ub', ''] }),
  ];
  expect(composePrompts(layers)).toEqual({
    system: ['a1', 'a2', '<H>', 'b1', 'by', 'bz', 'az'],
    user: ['ua', 'ub', ''],
  });
});

test.each([[[]], [['']], [['', '   ']], [['\u0085\u001c\u2028\u3000']]])('%j is an empty user prompt', (user) => {
  expect(() => checkUserPrompts(user)).toThrow('run.user_prompts must not be empty');
});

test.each([[['', ' ', 'real']], [['\uFEFF']], [['\u200B']]])('%j is not empty', (user) => {
  expect(() => checkUserPrompts(user)).not.toThrow();
});

test('one element is a text, more are a list with the blank ones kept', () => {
  expect(userTurnContent(['only'])).toBe('only');
  expect(userTurnContent(['', 'x'])).toEqual(['', 'x']);
  expect(userTurnContent([])).toEqual([]);
});
