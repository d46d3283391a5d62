import { describe, expect, test } from 'bun:test';
import { maskSecrets, secretValues } from '../../../src/peers/plugin-daemon/secrets.ts';

const shown = (text: string, credentials: Record<string, unknown>, apiKey = '') =>
  maskSecrets(text, secretValues(credentials, apiKey));

describe('an upstream text', () => {
  test('does not show credentials or the daemon key', () => {
    expect(shown('bad key sk-golden for master-key', { openai_api_key: 'sk-golden' }, 'master-key')).toBe(
      'bad key *** for ***',
    );
  });

  test('does not show a credential in its JSON or URL spelling', () => {
    expect(shown('{"k":"a\\"b c-long"} a%22b%20c-long', { token: 'a"b c-long' })).toBe('{"k":"***"} ***');
  });

  test('hides short values only where their name says that they are secret', () => {
    expect(shown('ab12 and ab12', { password: 'ab12' })).toBe('*** and ***');
    expect(shown('chat is not supported', { mode: 'chat', vision: 'supported', n: 7, b: true, z: null })).toBe(
      'chat is not supported',
    );
  });

  test('hides the longer of two secrets that contain each other', () => {
    expect(shown('secret-key-1234', { a_key: 'secret-key', b_key: 'secret-key-1234' })).toBe('***');
  });
});
