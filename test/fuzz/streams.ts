// Random answers of a plugin daemon: mostly what plugins send, often badly cut, sometimes nonsense.

import {
  chunk,
  type DaemonScript,
  errorItem,
  eventText,
  goJson,
  type Reply,
  success,
  usage,
} from '../fakes/daemon-script.ts';
import { cutBytes, type Random, randomJson, randomObject, randomText } from './random.ts';

/** The tools that random runs may call, and some that nobody has. */
export const TOOL_NAMES = ['get_weather', 'slow', 'final_output', 'ask_human', 'nobody', '', 'get_weather'] as const;

/** What the daemon answers a run: model replies until the run is over, tool replies for each tool. */
export function randomScript(random: Random): DaemonScript {
  // Most conversations are short; the last reply speaks, so that most runs end well.
  const replies = [...random.some(4, () => modelReply(random)), speakingReply(random)];
  const tool = () => Array.from({ length: 24 }, () => toolReply(random));
  return { llm: replies, tool: { get_weather: tool(), slow: tool() } };
}

/** One answer of the model. */
export function modelReply(random: Random): Reply {
  const lines = random.some(8, () => modelLine(random));
  if (random.chance(0.8)) lines.push(eventText(success(lastChunk(random))));
  return asBytes(random, lines.join(''));
}

function speakingReply(random: Random): Reply {
  const text = eventText(success(chunk({ content: `end ${randomText(random)}` })));
  return asBytes(random, text + eventText(success(chunk({ usage: usage(1, 2), finish_reason: 'stop' }))));
}

/** A stream in random pieces, now and then cut off or refused as a whole. */
function asBytes(random: Random, text: string): Reply {
  if (random.chance(0.02))
    return [{ http: random.pick([301, 400, 401, 404, 429, 500, 503]), text: randomJson(random) }];
  const pieces = cutBytes(random, Buffer.from(text)).map((bytes) => ({ bytes }));
  return random.chance(0.03) ? [...pieces.slice(0, random.int(pieces.length + 1)), { cut: true }] : pieces;
}

function modelLine(random: Random): string {
  const kind = random.int(20);
  if (kind < 7) return eventText(success(chunk({ content: randomText(random), index: random.int(3) })));
  if (kind < 12) return eventText(success(chunk({ content: random.pick(['', null]), tool_calls: toolCalls(random) })));
  if (kind < 14) return eventText(success(chunk({ content: contentList(random) })));
  if (kind < 15) return eventText(success(chunk({ usage: usage(random.int(100), random.int(100)) })));
  if (kind < 16)
    return eventText(success(chunk({ tool_calls: null, finish_reason: random.pick(['', 'stop', 'eos', 'weird']) })));
  if (kind < 17) return random.pick([': comment\n\n', 'event: x\n', '\n', '\r\n', 'id: 1\nretry: 2\n\n', '   \n']);
  if (kind < 18) return random.chance(0.3) ? garbage(random) : '';
  if (kind < 19) return random.chance(0.2) ? eventText(errorEnvelope(random)) : '';
  return eventText(success(chunk({ content: 'x'.repeat(random.int(20_000)) })));
}

function garbage(random: Random): string {
  return random.pick([
    'data: {nope\n\n',
    'hello\n',
    'data: 5\n\n',
    `data: ${randomJson(random)}\n\n`,
    `data: {"code":0,"message":"","data":${randomJson(random)}}\n\n`,
    'data: {"code":"x","message":"","data":{}}\n\n',
    'data: {"code":0,"message":"","data":null}\n\n',
  ]);
}

function errorEnvelope(random: Random): unknown {
  const type = random.pick([
    'InvokeRateLimitError',
    'CredentialsValidateFailedError',
    'ValueError',
    'PluginDaemonInnerError',
  ]);
  const item = errorItem(-500, type, randomText(random));
  return typeof item === 'object' && 'frame' in item ? item.frame : null;
}

function toolCalls(random: Random): unknown[] {
  return Array.from({ length: 1 + random.int(3) }, () => {
    const name = random.pick(TOOL_NAMES);
    return {
      id: random.pick(['c1', 'c2', 'c3', '', null, 'None', 7, `c${random.int(1_000)}`]),
      type: 'function',
      function: { name, arguments: random.chance(0.5) ? (GOOD_ARGUMENTS[name] ?? '{}') : randomArguments(random) },
    };
  });
}

const GOOD_ARGUMENTS: Readonly<Record<string, string>> = {
  get_weather: '{"city":"Oslo","n":"1.50"}',
  slow: '',
  final_output: '{"answer":9007199254740993,"more":["aa"]}',
  ask_human:
    '{"question":"Really?","fields":[{"type":"select","name":"s","label":"S","options":[{"value":"1","label":"One"}]}]}',
};

function randomArguments(random: Random): string {
  return random.pick([
    '',
    '{}',
    '{"city":"Oslo"}',
    '{"answer":1.0}',
    '{"answer":"x"}',
    '{"question":"Really?"}',
    '{"question":" "}',
    '{"city":',
    '"Oslo"}',
    '[1]',
    'null',
    '"x"',
    '{"a":1}{"b":2}',
    '{bad',
    randomObject(random),
    randomJson(random),
  ]);
}

function contentList(random: Random): unknown[] {
  return random.some(4, () =>
    random.pick<unknown>([
      { type: 'text', data: randomText(random) },
      { type: 'text', data: `<think>\n${randomText(random)}\n</think>` },
      { type: 'image', format: 'png', base64_data: 'AAEC', url: '', mime_type: 'image/png', filename: '', detail: '' },
      { type: 'image', base64_data: '', url: '', mime_type: 'image/png' },
      { type: 'unknown', data: 1 },
    ]),
  );
}

function lastChunk(random: Random): unknown {
  return chunk({
    content: random.pick(['', null, 'x']),
    usage: random.pick([null, usage(random.int(1_000), random.int(1_000))]),
    finish_reason: random.pick(['stop', 'tool_calls', 'length', 'content_filter', '', 'end_turn']),
  });
}

/** One answer of a tool. */
function toolReply(random: Random): Reply {
  const lines = random.some(4, () => toolLine(random)).join('');
  return asBytes(random, lines);
}

function toolLine(random: Random): string {
  if (random.chance(0.05)) return garbage(random);
  if (random.chance(0.05)) return eventText(errorEnvelope(random));
  const json = randomJson(random);
  const type = random.pick([
    'text',
    'text',
    'link',
    'image',
    'json',
    'variable',
    'log',
    'file',
    'blob',
    'blob_chunk',
    'odd',
  ]);
  const message = random.pick([
    `{"text":${goJson(randomText(random))}}`,
    `{"json_object":${json}}`,
    `{"variable_name":"v","variable_value":${json}}`,
    '{"id":"l1","label":"step","status":"start","data":{},"metadata":null}',
    '{"blob":"AAEC"}',
    '{"id":"b1","sequence":0,"total_length":3,"blob":"AAEC","end":true}',
    'null',
    json,
  ]);
  const meta = random.pick(['{}', 'null', '{"mime_type":"image/png"}']);
  return `data: {"code":0,"message":"success","data":{"type":"${type}","message":${message},"meta":${meta}}}\n\n`;
}
