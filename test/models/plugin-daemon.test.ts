import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import type { ModelDelta } from '../../src/agent/model.ts';
import { createPluginModel } from '../../src/models/plugin-daemon.ts';
import { PluginDaemonError } from '../../src/models/plugin-daemon-error.ts';
import type { PluginLlmConfig } from '../../src/models/plugin-llm-config.ts';
import {
  errorItem,
  type FakeDaemon,
  goJson,
  lastItem,
  pluginErrorItem,
  type Reply,
  startFakeDaemon,
} from '../fakes/plugin-daemon.ts';
import { clientFor, collect, quiet, textOf } from '../peers/plugin-daemon/kit.ts';

let daemon: FakeDaemon;
beforeAll(async () => {
  daemon = await startFakeDaemon();
});
afterAll(() => daemon.stop());

const config: PluginLlmConfig = {
  plugin_id: 'langgenius/openai',
  model_provider: 'openai',
  model: 'm',
  credentials: { openai_api_key: 'sk-golden' },
  model_settings: null,
  context_window_tokens: null,
};

const modelWith = (changes: Partial<PluginLlmConfig> = {}, tenantId = 'tenant-1') =>
  createPluginModel(clientFor(daemon.url), { ...config, ...changes }, { tenantId, userId: 'user-1' });

async function ask(reply: Reply, model = modelWith()) {
  daemon.play({ llm: [reply] });
  const { items, error } = await collect<ModelDelta>(model.stream({ messages: [], tools: [] }, quiet()));
  expect(daemon.violations).toEqual([]);
  return { deltas: items, error, text: textOf(error) };
}

test('a model names itself as the wire names it', () => {
  const model = modelWith({ model_settings: { max_tokens: 9 } });
  expect([model.modelName, model.providerName, model.maxTokens]).toEqual(['m', 'DifyPlugin/langgenius/openai', '9']);
  expect(modelWith().maxTokens).toBeNull();
});

test('what arrives together is one batch', async () => {
  daemon.play({ llm: [[{ repeat: 20, text: 'x', batch: 20 }, { delay: 20 }, lastItem()]] });
  const sizes: number[] = [];
  for await (const batch of modelWith().stream({ messages: [], tools: [] }, quiet())) sizes.push(batch.length);
  expect(sizes).toEqual([20, 2]);
});

test('an empty stream says nothing', async () => {
  expect((await ask([])).deltas).toEqual([]);
});

test('tools travel as name, description and parameters', async () => {
  daemon.play({ llm: [[lastItem()]] });
  const tools = [{ name: 't', description: '', parameters: { type: 'object' } }];
  await collect(modelWith().stream({ messages: [], tools }, quiet()));
  expect(daemon.violations).toEqual([]);
  expect(daemon.llmRequests[0]?.bodyText).toContain(
    '"tools":[{"name":"t","description":"","parameters":{"type":"object"}}],"stop":null,"stream":true',
  );
});

describe('a failed call says', () => {
  const http = (status: number, type: string, message: string) =>
    `status_code: ${status}, model_name: m, body: {'error_type': '${type}', 'message': '${message}'}`;

  test.each([
    ['PluginDaemonUnauthorizedError', 401],
    ['InvokeAuthorizationError', 401],
    ['PluginPermissionDeniedError', 403],
    ['PluginDaemonBadRequestError', 400],
    ['InvokeBadRequestError', 400],
    ['CredentialsValidateFailedError', 400],
    ['PluginUniqueIdentifierError', 400],
    ['PluginDaemonNotFoundError', 404],
    ['PluginNotFoundError', 404],
    ['InvokeRateLimitError', 429],
    ['AgentLLMQuotaExceededError', 429],
    ['QuotaExceededError', 429],
    ['PluginDaemonInternalServerError', 500],
    ['PluginDaemonInnerError', 500],
    ['InvokeConnectionError', 503],
    ['InvokeServerUnavailableError', 503],
  ] as const)('%s with status %i', async (type, status) => {
    expect((await ask([pluginErrorItem(type, 'why')])).text).toBe(http(status, type, 'why'));
    expect((await ask([errorItem(-500, type, 'why')])).text).toBe(http(status, type, 'why'));
  });

  test('the status of the response rather than that of the type', async () => {
    const body = goJson({ error_type: 'InvokeRateLimitError', message: 'slow' });
    expect((await ask([{ http: 502, text: body }])).text).toBe(http(502, 'InvokeRateLimitError', 'slow'));
  });

  test('the plain text of errors of configuration', async () => {
    for (const type of ['EndpointSetupFailedError', 'TriggerProviderCredentialValidationError']) {
      const { text, error } = await ask([errorItem(-500, type, 'setup failed text')]);
      expect(text).toBe('setup failed text');
      expect(error).toMatchObject({ failure: { kind: 'user', errorType: type } });
    }
    expect((await ask([errorItem(-500, 'EndpointSetupFailedError', '')])).text).toBe('UserError');
  });

  test('type and text of any other error', async () => {
    expect((await ask([pluginErrorItem('ValueError', 'boom')])).text).toBe('ValueError: boom');
    expect((await ask([errorItem(-500, 'PluginInvokeError', 'not json')])).text).toBe('PluginInvokeError: not json');
  });

  test('code and text of an untyped error item', async () => {
    const { text } = await ask([{ frame: { code: -500, message: 'killed by timeout', data: null } }]);
    expect(text).toBe('Plugin daemon returned error code -500: killed by timeout');
  });

  test('the body of an untyped HTTP error, or None', async () => {
    expect((await ask([{ http: 500, text: 'Internal Server Error' }])).text).toBe(
      'status_code: 500, model_name: m, body: Internal Server Error',
    );
    expect((await ask([{ http: 500 }])).text).toBe('status_code: 500, model_name: m, body: None');
  });

  test('what Python would print of a text with quotes and controls', async () => {
    const { text } = await ask([pluginErrorItem('InvokeRateLimitError', 'it\'s "slow"\n\tnow é')]);
    expect(text).toBe(
      "status_code: 429, model_name: m, body: {'error_type': 'InvokeRateLimitError', 'message': 'it\\'s \"slow\"\\n\\tnow é'}",
    );
  });

  test('what a bad chunk lacks, after everything that came before it', async () => {
    const { deltas, text } = await ask(['ok', { data: { hello: 1 } }]);
    expect(deltas).toEqual([{ kind: 'text', text: 'ok' }]);
    expect(text).toStartWith('2 validation errors for LLMResultChunk\nmodel\n');
  });

  test('nothing of credentials and keys that an upstream text repeats', async () => {
    expect((await ask([pluginErrorItem('InvokeAuthorizationError', 'bad key sk-golden')])).text).toBe(
      http(401, 'InvokeAuthorizationError', 'bad key ***'),
    );
    expect((await ask([{ http: 500, text: 'golden-daemon-key sk-golden' }])).text).toEndWith('body: *** ***');
    expect((await ask([{ raw: 'data: sk-golden\n\n' }])).text).not.toContain('sk-golden');
  });

  test('that an id may not travel, and the daemon hears nothing', async () => {
    daemon.play({ llm: [] });
    const model = modelWith({}, 'a/../b');
    const { error } = await collect(model.stream({ messages: [], tools: [] }, quiet()));
    expect(error).toBeInstanceOf(PluginDaemonError);
    expect(textOf(error)).toStartWith('tenant_id must not contain');
    expect(daemon.llmRequests).toHaveLength(0);
  });

  test('the reason of the abort when it was aborted', async () => {
    daemon.play({ llm: [['x', { hang: true }]] });
    const controller = new AbortController();
    const done = collect(modelWith().stream({ messages: [], tools: [] }, controller.signal));
    await daemon.waitForRequest(1);
    controller.abort(new Error('cancelled'));
    expect(textOf((await done).error)).toBe('cancelled');
    await daemon.waitForAbort();
  });
});

describe('the structured reason of later vintages', () => {
  const structured = async (reply: Reply) => {
    const { error } = await ask(reply);
    if (!(error instanceof PluginDaemonError)) throw new Error('not a model error');
    return error.structured();
  };

  test('is the type of an HTTP error and its own text', async () => {
    expect(await structured([pluginErrorItem('InvokeRateLimitError', 'slow')])).toEqual({
      error: 'slow',
      reason: 'InvokeRateLimitError',
    });
  });

  test('is found in the envelope of a real HTTP error', async () => {
    const message = goJson({ message: 'unauthorized', error_type: 'PluginDaemonUnauthorizedError', args: null });
    expect(await structured([{ http: 401, text: goJson({ code: -401, message, data: null }) }])).toEqual({
      error: 'unauthorized',
      reason: 'PluginDaemonUnauthorizedError',
    });
  });

  test('is given to an untyped 429, and to nothing else', async () => {
    expect(await structured([{ http: 429, text: 'x' }])).toMatchObject({ reason: 'InvokeRateLimitError' });
    expect(await structured([pluginErrorItem('ValueError', 'boom')])).toEqual({
      error: 'ValueError: boom',
      reason: null,
    });
    expect(await structured([{ http: 500, text: 'x' }])).toMatchObject({ reason: null });
  });
});
