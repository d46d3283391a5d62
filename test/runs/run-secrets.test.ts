import { describe, expect, test } from 'bun:test';
import type { JsonValue } from '../../src/base/json.ts';
import type { LogFields, Logger } from '../../src/observe/logger.ts';
import { createRunSecrets, MAX_TEXT, maskingLogger } from '../../src/runs/run-secrets.ts';

const layer = (config: JsonValue) => ({ name: 'x', type: 'x', deps: {}, metadata: {}, config });
const secretsOf = (config: JsonValue, configured: readonly string[] = []) =>
  createRunSecrets({ layers: [layer(config)] }, configured);

describe('is masked', () => {
  test.each<readonly [string, JsonValue, string]>([
    ['a credential of a model', { credentials: { openai_api_key: 'sk-golden' } }, 'sk-golden'],
    ['a credential with an ordinary name', { credentials: { endpoint: 'https://u:p@host/v1' } }, 'https://u:p@host/v1'],
    ['a credential of a tool', { tools: [{ credentials: { token: 'tok-1234' } }] }, 'tok-1234'],
    ['a key anywhere', { a: [{ b: { api_key: 'abcd' } }] }, 'abcd'],
    ['a password', { db: { Password: 'hunter2' } }, 'hunter2'],
    ['a header', { headers: { Authorization: 'Basic Zm9vOmJhcg==' } }, 'Basic Zm9vOmJhcg=='],
    ['a value of an environment', { env: [{ name: 'GH_TOKEN', value: 'ghp-secret' }] }, 'ghp-secret'],
    ['a list below a secret name', { secrets: ['one-1234', 'two-1234'] }, 'two-1234'],
    ['what is deep below one', { credentials: { nested: { more: { value: 'deep-1234' } } } }, 'deep-1234'],
    ['a config that is JSON text', '{"credentials":{"api_key":"sk-text"}}', 'sk-text'],
  ])('%s', (_, config, secret) => {
    expect(secretsOf(config).mask(`Incorrect key: ${secret}.`)).toBe('Incorrect key: ***.');
  });

  test('a secret of the process', () => {
    expect(secretsOf({}, ['daemon-key']).mask('daemon-key refused')).toBe('*** refused');
  });

  test.each([
    ['JSON', (value: string) => JSON.stringify({ key: value })],
    ['JSON in JSON', (value: string) => JSON.stringify(JSON.stringify({ key: value }))],
    ['a URL', (value: string) => `?key=${encodeURIComponent(value)}`],
    ['base64', (value: string) => Buffer.from(`user:${value}`).toString('base64')],
  ])('in %s', (_, spell) => {
    const secret = 'pa"ss/w\\örd+42';
    const masked = secretsOf({ credentials: { key: secret } }).mask(spell(secret));
    expect(masked).toContain('***');
    expect(masked).not.toContain('42');
  });
});

describe('is left alone', () => {
  test.each<readonly [string, JsonValue, string]>([
    ['a short value', { credentials: { api_key: '1' } }, 'attempt 1 of 3'],
    ['an option of a provider', { credentials: { mode: 'chat', function_calling: 'tool_call' } }, 'tool_call in chat'],
    ['a credential type', { credential_type: 'unauthorized' }, 'unauthorized'],
    ['the name of a secret', { secret_refs: [{ name: 'GH_TOKEN', ref: 'github-prod-1' }] }, 'GH_TOKEN github-prod-1'],
    ['a schema', { json_schema: { properties: { token: { description: 'The API token.' } } } }, 'The API token.'],
    ['a prompt', { user: 'Tell me about tokens.' }, 'Tell me about tokens.'],
    ['a limit', { model_settings: { max_tokens: 1024 } }, 'max_tokens 1024'],
    ['a config that is no JSON', '{"api_key":"sk-tex', 'sk-tex'],
    ['a config that is nothing', null, 'null'],
  ])('%s', (_, config, text) => {
    expect(secretsOf(config).mask(text)).toBe(text);
  });
});

test('nothing is looked at before there is something to mask', () => {
  const secrets = createRunSecrets({
    layers: [
      {
        ...layer(null),
        get config(): JsonValue {
          throw new Error('looked at');
        },
      },
    ],
  });
  expect(() => secrets.mask('x')).toThrow('looked at');
});

describe('bounds', () => {
  test('a long text is cut, and no part of a secret is left at the cut', () => {
    const secret = 'S3CRET-'.repeat(10);
    for (const before of [MAX_TEXT - 1, MAX_TEXT - 35, MAX_TEXT - 70, MAX_TEXT, MAX_TEXT + 600, MAX_TEXT + 830]) {
      const masked = secretsOf({ api_key: secret }).mask(`${'x'.repeat(before)}${secret}${'y'.repeat(5000)}`);
      expect(masked.length).toBeLessThanOrEqual(MAX_TEXT + 10);
      expect(masked).not.toContain('S3CRET');
      expect(masked).toEndWith('… (cut)');
    }
  });

  test('a long secret is found in pieces', () => {
    const secret = Array.from({ length: 2000 }, (_, i) => `line ${i}`).join('\n');
    const masked = secretsOf({ credentials: { private_key: secret } }).mask(`bad: ${JSON.stringify(secret)}`);
    expect(masked).not.toContain('line');
  });

  test('too many secrets to look for: nothing of the text is shown', () => {
    const credentials = Object.fromEntries(Array.from({ length: 1001 }, (_, i) => [`key${i}`, `secret-${i}`]));
    expect(secretsOf({ credentials }).mask('bad key secret-77')).not.toContain('secret-77');
    expect(secretsOf({ credentials: { key: 'x'.repeat(300_000) } }).mask('x'.repeat(5000))).not.toContain('xxxx');
  });

  test('many tools with the same credentials have few', () => {
    const tools = Array.from({ length: 2000 }, () => ({ credentials: { api_key: 'sk-same' } }));
    expect(secretsOf({ tools }).mask('sk-same refused')).toBe('*** refused');
  });

  test('a config nested beyond any stack', () => {
    let config: JsonValue = { api_key: 'sk-deep-1' };
    for (let i = 0; i < 100_000; i += 1) config = { a: config };
    expect(secretsOf(config).mask('sk-deep-1')).toBe('***');
  });
});

describe('the logger of a run', () => {
  const entries: (readonly [string, LogFields | undefined])[] = [];
  const at = (message: string, fields?: LogFields) => void entries.push([message, fields]);
  const plain: Logger = { debug: at, info: at, warn: at, error: at, child: () => plain };
  const logger = maskingLogger(plain, secretsOf({ api_key: 'sk-logged' }));

  test('masks texts, errors and their causes; the rest passes', () => {
    const error = new TypeError('bad sk-logged', { cause: new Error('says sk-logged') });
    logger.error('failed', { error, text: 'sk-logged!', layers: 3 });
    const [message, fields] = entries.at(-1) ?? [];
    expect(message).toBe('failed');
    expect(fields).toMatchObject({ text: '***!', layers: 3 });
    expect(String(fields?.error)).toBe('TypeError: bad ***');
    expect(fields?.error).toHaveProperty('cause.message', 'says ***');
  });

  test('masks what a child adds, and never throws', () => {
    const odd = new Error('x');
    Object.defineProperty(odd, 'message', {
      get() {
        throw new Error('trap');
      },
    });
    logger.child({ run_id: 'r' }).warn('odd', { error: odd });
    expect(entries.at(-1)?.[1]).toEqual({ error: 'an error that has no text' });
    logger.info('no fields');
    expect(entries.at(-1)).toEqual(['no fields', undefined]);
  });
});
