// Numbers, key order and characters survive every way through the binary (issue AGENT 8): as the reference would print
// them, in outputs, arguments, deferred results, snapshots over two resumptions, credentials and settings for the daemon.

import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { type FakeDaemon, lastItem, type Reply, startFakeDaemon, toolCallItem } from '../fakes/plugin-daemon.ts';
import { at, compact, items, type JsonNode, readJson, textOf } from '../support/json-nodes.ts';
import { createRun, finish } from '../support/runs.ts';
import { startServer, type TestServer } from '../support/server.ts';

/** As a caller or a model may write it … */
const SENT =
  '{"z":1.0,"big":9007199254740993,"huge":123456789012345678901234567890,"10":[1e20,1E5,-0.0,-0],"2":{"b":0.10,"1":null,"a":2.50},"tiny":1e-7,"many":0.1000000000000000055511151231257827,"inf":1e400,"__proto__":{"constructor":1.0}}';
/** … and as Python prints it again. */
const PRINTED =
  '{"z":1.0,"big":9007199254740993,"huge":123456789012345678901234567890,"10":[1e+20,100000.0,-0.0,0],"2":{"b":0.1,"1":null,"a":2.5},"tiny":1e-7,"many":0.1,"inf":null,"__proto__":{"constructor":1.0}}';

/** The same to the daemon: exponents by Python's `repr`, and nothing that JSON has no number for. */
const finite = (sent: string): string => sent.replace(/,"inf":(?:1e400|null)/, '');
const TO_DAEMON = finite(PRINTED).replace('1e-7', '1e-07');

let daemon: FakeDaemon;
let server: TestServer;

beforeAll(async () => {
  daemon = await startFakeDaemon();
  server = await startServer({ env: { DIFY_AGENT_PLUGIN_DAEMON_URL: daemon.url } });
}, 180_000);

afterAll(async () => {
  await server.dispose();
  await daemon.stop();
});

interface Parts {
  /** JSON texts, put in as they are. */
  readonly credentials?: string;
  readonly settings?: string;
  readonly runtimeParameters?: string;
  readonly snapshot?: string;
  readonly results?: string;
  readonly output?: boolean;
  readonly prompt?: string;
}

/** A request as text: nothing in it goes through JavaScript's numbers. */
function body({ credentials = '{}', settings = 'null', runtimeParameters = '{}', ...parts }: Parts): string {
  const deps = '{"execution_context":"execution_context"}';
  const schema = '{"type":"object","$comment":"any","additionalProperties":true}';
  const layers = [
    `{"name":"prompt","type":"plain.prompt","config":{"prefix":"Be exact.","user":${parts.prompt ?? '"Go."'}}}`,
    '{"name":"execution_context","type":"dify.execution_context","config":{"tenant_id":"tenant-1","user_id":"user-1"}}',
    '{"name":"history","type":"pydantic_ai.history"}',
    `{"name":"llm","type":"dify.plugin.llm","deps":${deps},"config":{"plugin_id":"langgenius/openai","model_provider":"openai","model":"m","credentials":${credentials},"model_settings":${settings}}}`,
    `{"name":"tools","type":"dify.plugin.tools","deps":${deps},"config":{"tools":[{"plugin_id":"langgenius/weather","provider":"weather","tool_name":"get_weather","credential_type":"api-key","credentials":${credentials},"runtime_parameters":${runtimeParameters}}]}}`,
    '{"name":"ask_human","type":"dify.ask_human"}',
    ...(parts.output === true ? [`{"name":"output","type":"dify.output","config":{"json_schema":${schema}}}`] : []),
  ];
  const session = parts.snapshot === undefined ? '' : `,"session_snapshot":${parts.snapshot}`;
  const results = parts.results === undefined ? '' : `,"deferred_tool_results":{"calls":{"h1":${parts.results}}}`;
  return `{"composition":{"layers":[${layers.join(',')}]}${session}${results}}`;
}

const says = (text: string): Reply => [text, lastItem()];
const calls = (id: string, name: string, args: string): Reply => [toolCallItem(id, name, args), lastItem('tool_calls')];
const toolSays = (text: string): Reply => [
  { raw: `data: {"code":0,"message":"","data":{"type":"json","message":{"json_object":${text}},"meta":{}}}\n\n` },
];

/** Plays a run; returns the data of its terminal event and everything the daemon was sent. */
async function play(parts: Parts, llm: readonly Reply[], tool: readonly Reply[] = []) {
  daemon.play({ llm, tool: { get_weather: tool } });
  const run = await finish(server.url, await createRun(server.url, body(parts)));
  expect({ types: run.types.at(-1), error: run.terminal.error }).toEqual({ types: 'run_succeeded', error: undefined });
  expect(daemon.violations).toEqual([]);
  const llmRequests = daemon.llmRequests.map(({ bodyText }) => readJson(bodyText));
  const toolRequests = daemon.toolRequests.map(({ bodyText }) => readJson(bodyText));
  const events = run.frames.map(({ data }) => readJson(data));
  return { data: at(events.at(-1), 'data'), events, llmRequests, toolRequests };
}

const text = (node: JsonNode | undefined): string => (node === undefined ? 'nothing' : compact(node));

function historyOf(data: JsonNode | undefined): JsonNode | undefined {
  const layers = items(at(data, 'session_snapshot', 'layers'));
  return at(
    layers.find((layer) => textOf(at(layer, 'name')) === 'history'),
    'runtime_state',
    'messages',
  );
}

function messagesIn(request: JsonNode | undefined, role: string): readonly JsonNode[] {
  return items(at(request, 'data', 'prompt_messages')).filter((message) => textOf(at(message, 'role')) === role);
}

/** What the last tool message of a model request says. */
const told = (request: JsonNode | undefined) => textOf(at(messagesIn(request, 'tool').at(-1), 'content'));

/** The arguments of the first call that a model request repeats. */
const argumentsIn = (request: JsonNode | undefined) =>
  textOf(at(messagesIn(request, 'assistant')[0], 'tool_calls', 0, 'function', 'arguments'));

describe('numbers survive', () => {
  test('in structured output', async () => {
    const { data } = await play({ output: true }, [calls('o1', 'final_output', SENT)]);
    expect(text(at(data, 'output'))).toBe(PRINTED);
  });

  test('in the arguments of a tool, hidden ones before', async () => {
    const runtimeParameters = '{"hidden":1.0,"1":2,"0":3}';
    const replies = [calls('c1', 'get_weather', finite(SENT)), says('ok')];
    const run = await play({ runtimeParameters }, replies, [toolSays('{}')]);
    const parameters = text(at(run.toolRequests[0], 'data', 'tool_parameters'));
    expect(parameters).toBe(`{"hidden":1.0,"1":2,"0":3,${TO_DAEMON.slice(1)}`);
  });

  test('or, beyond every double, are no arguments for a tool: the model is told', async () => {
    const run = await play({}, [calls('c1', 'get_weather', '{"n":1e400}'), says('ok')]);
    expect(told(run.llmRequests[1])).toBe(
      'tool parameters validation error: Out of range float values are not JSON compliant: inf, please check your tool parameters',
    );
  });

  test('in arguments that are sent back to the model, as text: character by character', async () => {
    const run = await play(
      {},
      [calls('c1', 'get_weather', finite(SENT)), says('ok')],
      [toolSays('{"n":1.0,"big":9007199254740993,"tiny":1e-7}')],
    );
    expect(argumentsIn(run.llmRequests[1])).toBe(finite(SENT));
    expect(told(run.llmRequests[1])).toBe('{"n": 1.0, "big": 9007199254740993, "tiny": 1e-07}');
  });

  test('in the answer to a question: event, snapshot, the text for the model, and after another resumption', async () => {
    const asked = await play({}, [calls('h1', 'ask_human', '{"question":"How much?"}')]);
    const snapshot = text(at(asked.data, 'session_snapshot'));
    const answered = await play({ snapshot, results: SENT }, [says('thanks')]);
    const result = answered.events.find((event) => textOf(at(event, 'data', 'event_kind')) === 'function_tool_result');
    expect(text(at(result, 'data', 'result', 'content'))).toBe(PRINTED);
    expect(text(at(historyOf(answered.data), 2, 'parts', 0, 'content'))).toBe(PRINTED);
    expect(told(answered.llmRequests[0])).toBe(PRINTED);

    const again = await play({ snapshot: text(at(answered.data, 'session_snapshot')) }, [says('bye')]);
    expect(text(at(historyOf(again.data), 2, 'parts', 0, 'content'))).toBe(PRINTED);
    expect(told(again.llmRequests[0])).toBe(PRINTED);
  });

  test('in a snapshot that somebody else wrote: arguments as objects, contents, metadata, details', async () => {
    const when = '"timestamp":"2026-06-01T08:00:00.000210Z"';
    const state = `{"messages":[
      {"parts":[{"content":"hi",${when},"part_kind":"user-prompt"}],${when},"kind":"request","metadata":${SENT}},
      {"parts":[{"tool_name":"get_weather","args":${SENT},"tool_call_id":"c1","provider_details":${SENT},"part_kind":"tool-call"}],
       "usage":{"input_tokens":9007199254740993,"details":{"2":1,"1":12345678901234567890}},"model_name":"m",${when},"kind":"response","provider_details":${SENT}},
      {"parts":[{"tool_name":"get_weather","content":[${SENT},1.0],"tool_call_id":"c1","metadata":${SENT},${when},"part_kind":"tool-return"},
                {"content":[{"type":"t","loc":["a",0],"msg":"m","input":${SENT}}],"tool_name":"get_weather","tool_call_id":"c2",${when},"part_kind":"retry-prompt"}],"kind":"request"}]}`;
    const names = ['prompt', 'execution_context', 'history', 'llm', 'tools', 'ask_human'];
    const layers = names.map(
      (name) => `{"name":"${name}","lifecycle_state":"suspended","runtime_state":${name === 'history' ? state : '{}'}}`,
    );
    let snapshot = `{"layers":[${layers.join(',')}]}`;
    for (let generation = 1; generation <= 2; generation += 1) {
      const run = await play({ snapshot }, [says('ok')]);
      const history = historyOf(run.data);
      expect({ generation, metadata: text(at(history, 0, 'metadata')) }).toEqual({ generation, metadata: PRINTED });
      expect(text(at(history, 1, 'parts', 0, 'args'))).toBe(PRINTED);
      expect(text(at(history, 1, 'parts', 0, 'provider_details'))).toBe(PRINTED);
      expect(text(at(history, 1, 'provider_details'))).toBe(PRINTED);
      expect(text(at(history, 1, 'usage', 'input_tokens'))).toBe('9007199254740993');
      expect(text(at(history, 1, 'usage', 'details'))).toBe('{"2":1,"1":12345678901234567890}');
      expect(text(at(history, 2, 'parts', 0, 'content'))).toBe(`[${PRINTED},1.0]`);
      expect(text(at(history, 2, 'parts', 0, 'metadata'))).toBe(PRINTED);
      expect(text(at(history, 2, 'parts', 1, 'content', 0, 'input'))).toBe(PRINTED);
      expect(argumentsIn(run.llmRequests[0])).toBe(PRINTED);
      snapshot = text(at(run.data, 'session_snapshot'));
    }
  });

  test('in credentials and extra_body on their way to the daemon', async () => {
    const credentials = '{"2":"b","1":"a","n":9007199254740993,"f":1.0,"b":true,"z":null}';
    const settings = `{"temperature":1,"max_tokens":"5","extra_body":${finite(SENT)}}`;
    const run = await play({ credentials, settings }, [calls('c1', 'get_weather', '{}'), says('ok')], [toolSays('{}')]);
    expect(text(at(run.llmRequests[0], 'data', 'credentials'))).toBe(credentials);
    expect(text(at(run.toolRequests[0], 'data', 'credentials'))).toBe(credentials);
    expect(text(at(run.llmRequests[0], 'data', 'model_parameters'))).toBe(
      `{"max_tokens":5,"temperature":1.0,${TO_DAEMON.slice(1)}`,
    );
  });
});

describe('half a character', () => {
  test('in a prompt, an answer or a snapshot becomes a replacement character, and nothing breaks', async () => {
    const half = '"a\\ud83dz\\udc00"';
    const asked = await play({ prompt: half }, [calls('h1', 'ask_human', '{"question":"How?"}')]);
    expect(text(at(historyOf(asked.data), 0, 'parts', 0, 'content'))).toBe('"a\\ufffdz\\ufffd"');
    const snapshot = text(at(asked.data, 'session_snapshot')).replace('\\ufffd', '\\ud800');
    const answered = await play({ prompt: half, snapshot, results: `{"note":${half},${half}:1}` }, [says('ok')]);
    expect(JSON.parse(text(at(historyOf(answered.data), 2, 'parts', 0, 'content')))).toEqual({
      note: 'a\ufffdz\ufffd',
      'a\ufffdz\ufffd': 1,
    });
    await play({ prompt: half, snapshot: text(at(answered.data, 'session_snapshot')) }, [says('ok')]);
  });

  test('in the arguments of a call is refused as pydantic refuses it, and told to the model', async () => {
    const run = await play({}, [calls('c1', 'get_weather', '{"city":"\\ud83dz"}'), says('ok')]);
    const result = run.events.find((event) => textOf(at(event, 'data', 'event_kind')) === 'function_tool_result');
    expect(textOf(at(result, 'data', 'result', 'content', 0, 'msg'))).toStartWith('Invalid JSON: ');
  });
});
