// biome-ignore-all lint/suspicious/noTemplateCurlyInString: ${NAME} is the syntax under test
// The rules of python-dotenv, one line of a file at a time.

import { describe, expect, test } from 'bun:test';
import { parseDotenv } from '../../src/config/dotenv.ts';

const read = (text: string, env: Record<string, string> = {}): Record<string, string> =>
  Object.fromEntries(parseDotenv(text, env));

describe('one line', () => {
  test.each([
    ['A=b', { A: 'b' }],
    ['A = b ', { A: 'b' }],
    ['export A=b', { A: 'b' }],
    ['  A=b', { A: 'b' }],
    ['A=', { A: '' }],
    ['A', {}],
    ['# A=b', {}],
    ['A=b # comment', { A: 'b' }],
    ['A=b#c', { A: 'b#c' }],
    ['A=#c', { A: '#c' }],
    ['A="b # c"', { A: 'b # c' }],
    ['A="b" # c', { A: 'b' }],
    ["A='b # c' # d", { A: 'b # c' }],
    ["A='it\\'s \\n'", { A: "it's \\n" }],
    ['A="x\\ty\\n\\"z\\" \\q \\\\"', { A: 'x\ty\n"z" \\q \\' }],
    ['A="two\nlines"', { A: 'two\nlines' }],
    ["'A B'=c", { 'A B': 'c' }],
    ['A=b c', { A: 'b c' }],
    ['A=b=c', { A: 'b=c' }],
    ['\uFEFFA=b', { A: 'b' }],
    ['A=b\r\nB=c\rC=d', { A: 'b', B: 'c', C: 'd' }],
    ['A=\nB=c', { A: '', B: 'c' }],
    ['A=1\nA=2', { A: '2' }],
  ] as const)('%j', (text, values) => {
    expect(read(text)).toEqual(values);
  });
});

describe('a line that is no binding is skipped, and the next one counts', () => {
  test.each(['A="open\nB=c', "A='open\nB=c", 'A="b"c\nB=c', '=x\nB=c'])('%j', (text) => {
    expect(read(text)).toEqual({ B: 'c' });
  });
});

describe('references', () => {
  test.each([
    ['A=1\nB=${A}2', { A: '1', B: '12' }],
    ['B=${HOME_DIR}/x', { B: '/home/x' }],
    ['HOME_DIR=/file\nB=${HOME_DIR}', { HOME_DIR: '/file', B: '/file' }],
    ['B=${NONE}', { B: '' }],
    ['B=${NONE:-fallback}', { B: 'fallback' }],
    ["B='${HOME_DIR}'", { B: '/home' }],
    ['B=$HOME_DIR', { B: '$HOME_DIR' }],
    ['A\nB=${A:-x}', { B: '' }],
  ] as const)('%j', (text, values) => {
    expect(read(text, { HOME_DIR: '/home' })).toEqual(values);
  });
});
