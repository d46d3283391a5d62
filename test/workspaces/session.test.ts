import { describe, expect, test } from 'bun:test';
import {
  isSessionId,
  makeWorkspaceScript,
  newSessionId,
  removeWorkspaceScript,
  type SessionId,
  workspacePath,
} from '../../src/workspaces/session.ts';

describe('a session id', () => {
  test.each(['3f9a0c4', '0000000', 'fffffff'])('is %s', (text) => {
    expect(isSessionId(text)).toBe(true);
  });

  test.each([
    '',
    '3f9a0c',
    '3f9a0c44',
    '3F9A0C4',
    '3f9a0cg',
    '3f9a0c4\n',
    '\n3f9a0c4',
    '3f9a0c4\0',
    '../../x',
    ' 3f9a0c',
    '3f9a0c4;rm',
    '３f9a0c4',
  ])('is not %j', (text) => {
    expect(isSessionId(text)).toBe(false);
  });

  test('is 20 bits of the time and a byte', () => {
    expect(newSessionId(0xabc12345, 0x0f)).toBe('123450f' as SessionId); // what the test says it is
    expect(newSessionId(1_781_101_927.9, 7)).toMatch(/^[0-9a-f]{7}$/);
    expect(newSessionId(0, 0)).toBe('0000000' as SessionId); // likewise
    expect(newSessionId(2 ** 20, 255)).toBe('00000ff' as SessionId); // likewise
    expect(() => newSessionId(-5, 0)).toThrow(RangeError);
    expect(() => newSessionId(Number.NaN, 0)).toThrow(RangeError);
  });

  test('is all that paths and scripts are made of', () => {
    const id = newSessionId(0x3f9a0, 0xc4);
    expect(workspacePath(id)).toBe('~/workspace/3f9a0c4');
    expect(makeWorkspaceScript(id)).toContain('"$HOME/workspace/3f9a0c4"');
    expect(removeWorkspaceScript(id)).toStartWith('rm -rf -- "$HOME/workspace/3f9a0c4"');
  });
});
