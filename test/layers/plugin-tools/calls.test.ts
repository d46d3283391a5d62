import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import type { JsonObject } from '../../../src/base/json.ts';
import { MAX_OBSERVATION_BYTES } from '../../../src/layers/plugin-tools/observation.ts';
import type { DaemonCall, PluginDaemonClient } from '../../../src/peers/plugin-daemon/client.ts';
import { type FakeDaemon, goJson, pluginErrorItem, type Reply, startFakeDaemon } from '../../fakes/plugin-daemon.ts';
import { clientFor, quiet } from '../../peers/plugin-daemon/kit.ts';
import { observe, oneTool, TOOL, toolsOf, withTools } from './kit.ts';

let daemon: FakeDaemon;
beforeAll(async () => {
  daemon = await startFakeDaemon();
});
afterAll(() => daemon.stop());

const message = (content: string) => ({ type: 'text', message: { text: content }, meta: null });
const text = (content: string): Reply => [{ data: message(content) }];

/** What one call of a tool with this config tells the model when the daemon answers so. */
async function observed(reply: Reply, changes: JsonObject = {}, args: JsonObject | string = {}) {
  daemon.play({ tool: { get: [reply] } });
  const client = clientFor(daemon.url);
  try {
    return await observe(toolsOf(oneTool(changes), client)[0], args);
  } finally {
    client.close();
  }
}

describe('a call', () => {
  test('is one request, numbers and key order as they were', async () => {
    const parameters = ['n', '2'].map((name) => ({ name, type: 'any', form: 'llm' }));
    const credentials = { k: 1.5, n: null, big: JSON.rawJSON('12345678901234567890') };
    const args = '{"z":1.0,"2":12345678901234567890,"1":"é\\u2028","n":0.5}';
    expect(await observed(text('ok'), { parameters, credentials, credential_type: 'oauth2' }, args)).toBe('ok');
    expect(daemon.violations).toEqual([]);
    expect(daemon.toolRequests.map(({ bodyText }) => bodyText)).toEqual([
      '{"data":{"provider":"p","tool":"get","credentials":{"k":1.5,"n":null,"big":12345678901234567890},"credential_type":"oauth2","tool_parameters":{"n":0.5,"2":12345678901234567890,"z":1.0,"1":"é\u2028"}},"user_id":"u"}',
    ]);
    expect(daemon.toolRequests[0]?.path).toBe('/plugin/t/dispatch/tool/invoke');
    expect(daemon.toolRequests[0]?.headers['x-plugin-id']).toBe('a/p');
  });

  test('carries no user when there is none', async () => {
    daemon.play({ tool: { get: [text('ok')] } });
    const client = clientFor(daemon.url);
    await observe(toolsOf(withTools([TOOL], { tenant_id: 't' }), client)[0]);
    expect(daemon.toolRequests[0]?.bodyText).toEndWith('"tool_parameters":{}}}');
    client.close();
  });

  test('keeps the numbers of json results', async () => {
    const raw =
      'data: {"code":0,"message":"","data":{"type":"json","message":{"json_object":{"2":1.0,"1":12345678901234567890}}}}\n\n';
    expect(await observed([{ raw }])).toBe('{"2": 1.0, "1": 12345678901234567890}');
  });

  test('folds items however they are cut', async () => {
    const frames = ['<a>', 'b'].map(
      (content) => `data: ${goJson({ code: 0, message: '', data: message(content) })}\n\n`,
    );
    const characters = [...frames.join('')];
    expect(await observed(characters.map((raw) => ({ raw })))).toBe('<a>b');
    expect(await observed([{ raw: frames.join('') }])).toBe('<a>b');
  });

  test('reads text with line ends that only Unicode knows', async () => {
    expect(await observed(text('a\u0085b\u2028c😀'))).toBe('a\u0085b\u2028c😀');
  });
});

describe('what cannot be sent', () => {
  test('NaN is told to the model and nothing is sent', async () => {
    expect(await observed(text('x'), {}, '{"n":[NaN]}')).toBe(
      'tool parameters validation error: Out of range float values are not JSON compliant: nan, please check your tool parameters',
    );
    expect(daemon.toolRequests).toEqual([]);
  });

  test('nor is anything sent for a plugin id that would not be one', async () => {
    expect(await observed(text('x'), { plugin_id: '../x' })).toBe(
      'tool invoke error: plugin_id must not contain dot segments or backslashes',
    );
    expect(daemon.toolRequests).toEqual([]);
  });
});

describe('the observation', () => {
  test('is bounded, and says so', async () => {
    const long = 'x'.repeat(100_000);
    const reply = [long, long, long, long].flatMap(text);
    const observation = String(await observed(reply));
    expect(observation).toBe(
      `${'x'.repeat(MAX_OBSERVATION_BYTES)}\n[truncated: the tool result is longer than ${MAX_OBSERVATION_BYTES} bytes]`,
    );
  });

  test('is lost when the stream ends in an error', async () => {
    expect(await observed([...text('partial'), pluginErrorItem('ValueError', 'late')])).toBe('tool invoke error: late');
  });

  test('is lost when the connection is', async () => {
    expect(await observed([...text('partial'), { cut: true }])).toBe(
      'tool invoke error: peer closed connection without sending complete message body (incomplete chunked read)',
    );
  });

  test('tells what line was no JSON', async () => {
    expect(await observed([{ raw: 'data: oops\n\n' }])).toStartWith(
      'tool parameters validation error: 1 validation error for PluginDaemonBasicResponse\n  Invalid JSON: expected value at line 1 column 1',
    );
  });
});

describe('secrets', () => {
  const credentials = { api_key: 'sk-1234', base_url: 'https://host.example', region: 'us-east-1' };
  const hidden = {
    parameters: [{ name: 'zone', type: 'secret-input', form: 'form' }],
    runtime_parameters: { zone: 'z0ne' },
  };

  test('do not stand in results, but hosts and regions do', async () => {
    const said = 'sk-1234 golden-daemon-key z0ne https://host.example/x us-east-1';
    expect(await observed(text(said), { credentials, ...hidden })).toBe('*** *** *** https://host.example/x us-east-1');
  });

  test('do not stand in errors, with all that is configured', async () => {
    const error = pluginErrorItem('ValueError', 'sk-1234 golden-daemon-key z0ne https://host.example/x us-east-1');
    expect(await observed([error], { credentials, ...hidden })).toBe('tool invoke error: *** *** *** ***/x ***');
  });

  test('do not survive at the edge of a cut', async () => {
    const reply = text(`${'x'.repeat(MAX_OBSERVATION_BYTES - 3)}sk-1234`);
    expect(await observed(reply, { credentials })).toBe(`${'x'.repeat(MAX_OBSERVATION_BYTES - 3)}***`);
  });
});

test('an abort of the run ends the call with its reason and closes the socket', async () => {
  daemon.play({ tool: { get: [[...text('x'), { hang: true }]] } });
  const client = clientFor(daemon.url);
  const [tool] = toolsOf(oneTool(), client);
  const abort = new AbortController();
  const call = observe(tool, {}, abort.signal);
  await daemon.waitForRequest(1);
  const gone = daemon.waitForAbort();
  abort.abort(new Error('cancelled by the user'));
  await expect(call).rejects.toThrow('cancelled by the user');
  await gone;
  client.close();
});

test('a call of an aborted run sends nothing', async () => {
  daemon.play({ tool: { get: [text('x')] } });
  const client = clientFor(daemon.url);
  const call = observe(toolsOf(oneTool(), client)[0], {}, AbortSignal.abort(new Error('over')));
  await expect(call).rejects.toThrow('over');
  expect(daemon.toolRequests).toEqual([]);
  client.close();
});

test('calls of one run have one owner, those of another run another', async () => {
  const owners: unknown[] = [];
  const client: PluginDaemonClient = {
    apiKey: '',
    async *streamItems(call: DaemonCall) {
      owners.push(call.owner);
      yield [];
    },
    load: () => ({ active: 0, waiting: 0 }),
    close() {},
  };
  const composition = withTools([TOOL, { ...TOOL, tool_name: 'other' }]);
  for (const tool of [...toolsOf(composition, client), ...toolsOf(composition, client)])
    await observe(tool, {}, quiet());
  expect(owners).toHaveLength(4);
  expect(owners[0]).toBe(owners[1]);
  expect(owners[2]).toBe(owners[3]);
  expect(owners[0]).not.toBe(owners[2]);
});

test('a fault of ours is not told to the model', async () => {
  const client: PluginDaemonClient = {
    ...clientFor(daemon.url),
    streamItems() {
      throw new TypeError('a mistake of ours');
    },
  };
  await expect(observe(toolsOf(oneTool(), client)[0])).rejects.toThrow('a mistake of ours');
});
