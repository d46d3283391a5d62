import { describe, expect, test } from 'bun:test';
import type { JsonObject, JsonValue } from '../../../src/base/json.ts';
import { installCommands, type ShellConfig, shellConfig } from '../../../src/layers/shell/config.ts';
import { configEnvironment, configSecrets, jobEnvironment } from '../../../src/layers/shell/environment.ts';
import { shellLayer } from '../../../src/layers/shell.ts';
import { validate } from '../../../src/validation/walker.ts';
import { fault, layerTypes, refusal } from '../fixtures.ts';

const shell = (config: JsonValue) => ({ shell: { type: 'dify.shell', config } });

/** What is wrong with a config, or what comes of it: without shellctl a good one gets as far as the factory. */
function verdict(config: JsonValue): string {
  const text = refusal(shell(config));
  return text === NOT_CONFIGURED ? 'accepted' : text;
}

const NOT_CONFIGURED =
  "DifyShellLayer requires a non-empty DIFY_AGENT_SHELLCTL_ENTRYPOINT when the 'dify.shell' layer is used.";

const one = (text: string) => `1 validation error for DifyShellLayerConfig\n${text}`;
const value = (loc: string, text: string, type: string) => one(fault(loc, `Value error, ${text}`, 'value_error', type));

test('without a shellctl the run is refused when the layer is built', () => {
  expect(refusal(shell({}))).toBe(NOT_CONFIGURED);
  expect(shellLayer(null).typeId).toBe('dify.shell');
  expect(layerTypes().map(({ typeId }) => typeId)).toContain('dify.shell');
});

describe('the config', () => {
  test.each<[string, JsonValue]>([
    ['an empty object', {}],
    ['null', null],
    ['JSON text', '{"env":[{"name":"A"}]}'],
    [
      'everything of the seed',
      {
        agent_stub_drive_ref: 'agents/a-1',
        cli_tools: [
          {
            name: 'ripgrep',
            install_commands: ['  uv tool install x ', ' '],
            env: [{ name: 'A', value: 'b' }],
            secret_refs: [{ name: 'T', ref: null }],
          },
          {},
        ],
        env: [{ name: 'REGION', value: 'eu' }, { name: '_x9' }],
        secret_refs: [{ name: 'GH_TOKEN' }],
        sandbox: { provider: 'local', config: { cpu: 1 } },
      },
    ],
    ['an enterprise sandbox', { sandbox: { gateway_endpoint: 'https://gateway' } }],
    ['no sandbox', { sandbox: null }],
    ['the newest patterns', { redact_patterns: ['sk-[a-z]+'] }],
    ['tabs and newlines in a value', { env: [{ name: 'PEM', value: 'a\tb\nc' }] }],
    ['a name of 255 characters', { env: [{ name: 'N'.repeat(255) }] }],
    ['a name that an object has by itself', { env: [{ name: '__proto__', value: 'x' }, { name: 'constructor' }] }],
  ])('accepts %s', (_, config) => {
    expect(verdict(config)).toBe('accepted');
  });

  test.each<[JsonObject, string]>([
    [{ extra: 1 }, one(fault('extra', 'Extra inputs are not permitted', 'extra_forbidden', 'int'))],
    [{ env: [{ name: '1A' }] }, value('env.0.name', 'env var name must be a valid shell identifier', 'str')],
    [{ env: [{ name: 'A-B' }] }, value('env.0.name', 'env var name must be a valid shell identifier', 'str')],
    [{ env: [{ name: 'A\n' }] }, value('env.0.name', 'env var name must be a valid shell identifier', 'str')],
    [{ env: [{ name: 'A;rm -rf' }] }, value('env.0.name', 'env var name must be a valid shell identifier', 'str')],
    [
      { env: [{ name: '' }] },
      one(fault('env.0.name', 'String should have at least 1 character', 'string_too_short', 'str')),
    ],
    [
      { secret_refs: [{ name: 'x y' }] },
      value('secret_refs.0.name', 'secret env var name must be a valid shell identifier', 'str'),
    ],
    [
      { secret_refs: [{ name: 'A', value: 's' }] },
      one(fault('secret_refs.0.value', 'Extra inputs are not permitted', 'extra_forbidden', 'str')),
    ],
    [
      { cli_tools: [{ env: [{ name: 'é' }] }] },
      value('cli_tools.0.env.0.name', 'env var name must be a valid shell identifier', 'str'),
    ],
    [
      { cli_tools: [{ install_commands: 'x' }] },
      one(fault('cli_tools.0.install_commands', 'Input should be a valid list', 'list_type', 'str')),
    ],
    [
      { agent_stub_drive_ref: 'x'.repeat(1025) },
      value('agent_stub_drive_ref', 'String should have at most 1024 characters', 'str'),
    ],
    [
      { redact_patterns: Array(65).fill('a') },
      value('redact_patterns', 'redact_patterns must contain at most 64 item(s)', 'list'),
    ],
    [
      { redact_patterns: ['a'.repeat(1025)] },
      value('redact_patterns.0', 'String should have at most 1024 characters', 'str'),
    ],
  ])('refuses %j', (config, text) => {
    expect(verdict(config)).toBe(text);
  });

  test.each(['\0', '\r', '\x1b[2J', '\x7f'])('refuses %j in a value, and does not repeat it', (character) => {
    const text = verdict({ env: [{ name: 'A', value: `hunter2${character}` }] });
    expect(text).toBe(
      value('env.0.value', 'env var value must not contain control characters other than tab and newline', 'str'),
    );
  });
});

test('dependencies are an execution context and, from a middle vintage, a drive; both may be missing', () => {
  const context = { where: { type: 'dify.execution_context', config: { tenant_id: 't' } } };
  const deps = (keys: Readonly<Record<string, string>>) =>
    refusal({ ...context, shell: { type: 'dify.shell', config: {}, deps: keys } });
  expect(deps({ execution_context: 'where' })).toBe(NOT_CONFIGURED);
  expect(deps({ sandbox: 'where' })).toBe("Layer 'shell' declares unknown dependency keys: sandbox.");
});

describe('the environment', () => {
  const parsed = (config: JsonObject): ShellConfig => {
    const result = validate(shellConfig, config);
    if (!result.ok) throw new Error(JSON.stringify(result.issues));
    return result.value;
  };
  const config = parsed({
    env: [
      { name: 'A', value: "it's" },
      { name: 'API_KEY', value: 'k-12345' },
      { name: '__proto__', value: 'kept' },
    ],
    secret_refs: [{ name: 'GH_TOKEN' }],
    cli_tools: [
      { install_commands: [' one ', '', 'two'], env: [{ name: 'A', value: 'later' }] },
      { install_commands: ['three'] },
    ],
    sandbox: { provider: 'local', config: { z: 1, ä: { b: [true, null], a: 1.5, token: 'tok-77' } } },
  });

  test('has every variable with its last value, the sandbox as sorted ASCII JSON, and no secret reference', () => {
    expect(Object.entries(configEnvironment(config))).toEqual([
      ['A', 'later'],
      ['API_KEY', 'k-12345'],
      ['__proto__', 'kept'],
      ['DIFY_SANDBOX_PROVIDER', 'local'],
      ['DIFY_SANDBOX_CONFIG_JSON', '{"z": 1, "\\u00e4": {"a": 1.5, "b": [true, null], "token": "tok-77"}}'],
    ]);
    expect(configEnvironment(parsed({}))).toEqual({});
  });

  test('keeps values under secret-looking names from the model', () => {
    expect(configSecrets(config)).toEqual(['k-12345', 'tok-77']);
  });

  test('never replaces what the stub gives', () => {
    const stub = { DIFY_AGENT_STUB_URL: 'https://stub', DIFY_AGENT_STUB_AUTH_JWE: 'real' };
    const own = { DIFY_AGENT_STUB_AUTH_JWE: 'forged', DIFY_AGENT_STUB_DRIVE_BASE: '/etc', A: 'b' };
    expect(jobEnvironment(own, stub)).toEqual({ A: 'b', ...stub });
    expect(jobEnvironment(own, null)).toEqual(own);
    expect(jobEnvironment({}, null)).toBeNull();
  });

  test('install commands are stripped, blank ones dropped, in order', () => {
    expect(installCommands(config)).toEqual(['one', 'two', 'three']);
  });
});
