import { describe, expect, test } from 'bun:test';
import { maskSecrets, secretValues } from '../../src/observe/secrets.ts';

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

  test.each([
    ['nested JSON', JSON.stringify(JSON.stringify({ m: JSON.stringify('sk-"é&Val ue/1') }))],
    ['nested ASCII JSON', String.raw`{\"m\": \"sk-\\\"\\u00e9&Val ue/1\"}`],
    ['a query', 'key=sk-%22%C3%A9%26Val+ue%2F1'],
    ['a path', 'sk-%22%C3%A9%26Val%20ue/1'],
    ['HTML', 'sk-&quot;é&amp;Val ue/1'],
    ['a Python repr', `{'k': 'sk-"é&Val ue/1'}`],
    ['base64', Buffer.from('sk-"é&Val ue/1').toString('base64')],
    ['base64 of more', Buffer.from('Bearer sk-"é&Val ue/1, ').toString('base64url')],
  ])('does not show a credential in %s', (_, text) => {
    const masked = shown(text, { api_key: 'sk-"é&Val ue/1' });
    expect(masked).toContain('***');
    expect(masked).not.toContain('Val');
    expect(masked).not.toContain(Buffer.from('Val ue').toString('base64').slice(1, 7));
  });

  test('does not show what a shortened value leaves of a credential', () => {
    const secret = 'sk-proj-0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ';
    const text = `input_value='Incorrect API ${secret.slice(0, 10)}...${secret.slice(-20)} in use', input_type=str`;
    expect(shown(text, { api_key: secret })).toBe("input_value='Incorrect API ***...*** in use', input_type=str");
    expect(shown('an ellipsis... and sk- only', { api_key: secret })).toBe('an ellipsis... and sk- only');
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
