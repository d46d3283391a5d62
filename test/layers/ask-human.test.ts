import { describe, expect, test } from 'bun:test';
import type { ExternalTool } from '../../src/agent/tools.ts';
import type { JsonObject, JsonValue } from '../../src/base/json.ts';
import { isJsonObject } from '../../src/base/json.ts';
import { createSchemaCompiler } from '../../src/jsonschema/compiler.ts';
import { checkAskHumanShape } from '../../src/layers/ask-human.ts';
import { composePrompts } from '../../src/layers/prompts.ts';
import type { RunLayerSpec } from '../../src/protocol/runs.ts';
import { parseJson, stringifyJson } from '../../src/wiretext/json.ts';
import { fault, prepare, refusal } from './fixtures.ts';
import { recordedRun } from './recorded.ts';

const layer = (config: JsonValue = {}) => prepare({ human: { type: 'dify.ask_human', config } }).get('human');
const toolOf = (config: JsonValue = {}): ExternalTool => {
  const tool = layer(config).humanInput?.tool;
  if (tool === undefined || tool === null) throw new Error('the layer has no tool');
  return tool;
};
/** The normalised arguments as JSON, or what the model is told. */
const asked = (args: JsonValue, config: JsonValue = {}): string => {
  const result = toolOf(config).validate(typeof args === 'string' ? args : JSON.stringify(args));
  if (result.ok) return stringifyJson(result.value);
  return typeof result.retry === 'string' ? result.retry : stringifyJson(result.retry);
};
const head = (count: number) => `${count} validation error${count === 1 ? '' : 's'} for AskHumanToolArgs\n`;
/** One fault of arguments: its value is told, since the model wrote it. */
const told = (loc: string, message: string, type: string, value: string, valueType: string): string =>
  `${loc}${loc === '' ? '' : '\n'}  ${message} [type=${type}, input_value=${value}, input_type=${valueType}]\n    For further information visit https://errors.pydantic.dev/2.12/v/${type}`;
const field = (own: JsonObject): JsonObject => ({ name: 'f', label: 'F', ...own });
const question = (own: JsonObject): JsonObject => ({ question: 'Q', ...own });

describe('as recorded', () => {
  test.each([
    'ask_human_deferred',
    'ask_human_full_args',
    'ask_human_invalid_then_ok',
    'ask_human_policy_error_then_ok',
    'ask_human_text_before',
    'ask_human_with_output',
  ])('%s: what the model is told, and the published call', async (name) => {
    const run = await recordedRun(name);
    const { humanInput } = layer(run.config('dify.ask_human'));
    const tool = toolOf(run.config('dify.ask_human'));
    const deferred = run.end.deferred_tool_call;
    if (!isJsonObject(deferred)) throw new Error('the trace does not end in a call');
    expect(tool.definition.name).toBe(String(deferred.tool_name));
    expect(stringifyJson(humanInput?.metadata)).toBe(stringifyJson(deferred.metadata));
    const calls = run.calls(tool.definition.name);
    for (const { args, valid, retry } of calls) {
      const result = tool.validate(args);
      expect(result.ok).toBe(valid === true);
      if (!result.ok) expect(result.retry).toBe(String(retry).replace('pydantic.dev/2.13/', 'pydantic.dev/2.12/'));
    }
    const last = tool.validate(calls.at(-1)?.args ?? null);
    expect(last.ok && stringifyJson(last.value)).toBe(stringifyJson(deferred.args));
  });

  test('a configured description is stripped', async () => {
    const run = await recordedRun('ask_human_full_args');
    const recorded = run.definition('ask_boss');
    expect(toolOf(run.config('dify.ask_human')).definition.description).toBe(
      isJsonObject(recorded) ? String(recorded.description) : '',
    );
  });
});

test('one layer under any name is fine, two are refused, disabled or not', () => {
  const spec = (name: string, config: JsonValue = null): RunLayerSpec => ({
    name,
    type: 'dify.ask_human',
    deps: {},
    metadata: {},
    config: config as JsonObject | null, // a config is one of both here
  });
  expect(() => checkAskHumanShape([spec('whatever')])).not.toThrow();
  expect(() => checkAskHumanShape([spec('b'), spec('a', { enabled: false })])).toThrow(
    "Only one 'dify.ask_human' layer is supported. Found layers: b, a.",
  );
});

describe('config', () => {
  const refused = (config: JsonValue) => refusal({ human: { type: 'dify.ask_human', config } });
  const one = (loc: string, message: string, type: string, inputType: string) =>
    `1 validation error for DifyAskHumanLayerConfig\n${fault(loc, message, type, inputType)}`;

  test.each([
    ['max_fields', 0, 16],
    ['max_actions', 1, 8],
    ['max_markdown_chars', 0, 20_000],
    ['max_question_chars', 1, 4000],
    ['max_field_label_chars', 1, 200],
    ['max_action_label_chars', 1, 120],
  ])('%s is from %d to %d', (name, least, most) => {
    expect(refused({ [name]: least })).toBe('accepted');
    expect(refused({ [name]: most })).toBe('accepted');
    expect(refused({ [name]: most + 1 })).toBe(
      one(name, `Value error, ${name} must be <= ${most}`, 'value_error', 'int'),
    );
    expect(refused({ [name]: least - 1 })).toBe(
      one(name, `Input should be greater than or equal to ${least}`, 'greater_than_equal', 'int'),
    );
  });

  test('whole numbers may come as text, float or bool', () => {
    expect(refused({ max_fields: '3', max_actions: 3.0, max_question_chars: true })).toBe('accepted');
    expect(refused({ max_fields: 1.5 })).toContain('got a number with a fractional part');
  });

  test.each(['', '1a', 'a-b', 'ä', 'a b', 'a\n'])('%p is no tool name', (name) => {
    expect(refused({ tool_name: name })).toBe(
      one('tool_name', 'Value error, tool_name must be a valid tool identifier', 'value_error', 'str'),
    );
  });

  test('field types are known and named once', () => {
    expect(refused({ allowed_field_types: ['select', 'select'] })).toBe(
      one('allowed_field_types', 'Value error, allowed_field_types must not contain duplicates', 'value_error', 'list'),
    );
    expect(refused({ allowed_field_types: ['wat'] })).toBe(
      one(
        'allowed_field_types.0',
        "Input should be 'paragraph', 'select', 'file' or 'file-list'",
        'literal_error',
        'str',
      ),
    );
    expect(refused({ allowed_field_types: [] })).toBe('accepted');
  });

  test('file fields must be allowed to be listed', () => {
    const config = { allowed_field_types: ['file-list', 'select', 'file'] };
    expect(refused(config)).toContain(
      'Value error, allowed_field_types cannot include file field types when allow_file_fields is false: file-list, file [type=value_error',
    );
    expect(refused({ ...config, allow_file_fields: true })).toBe('accepted');
  });

  test('unknown keys are refused', () => {
    expect(refused({ more: 1 })).toBe(one('more', 'Extra inputs are not permitted', 'extra_forbidden', 'int'));
  });
});

describe('towards the model', () => {
  test('a disabled layer has no tool and says nothing', () => {
    const { humanInput, prompts } = layer({ enabled: false });
    expect(humanInput?.tool).toBeNull();
    expect(prompts).toBeUndefined();
  });

  test('the guidance is one prefix at the place of the layer', () => {
    const run = prepare({
      a: { type: 'plain.prompt', config: { prefix: ['a1'], suffix: ['az'] } },
      human: { type: 'dify.ask_human' },
      b: { type: 'plain.prompt', config: { prefix: 'b1' } },
    });
    const { system, user } = composePrompts(run.layers.values());
    expect(system).toEqual(['a1', layer().prompts?.prefix[0] ?? '', 'b1', 'az']);
    expect(user).toEqual([]);
  });

  test('the guidance names the tool and every limit', () => {
    const config = {
      tool_name: 'ask_boss',
      max_fields: 2,
      max_actions: 3,
      max_markdown_chars: 1234,
      max_question_chars: 567,
      max_field_label_chars: 89,
      max_action_label_chars: 67,
      allowed_field_types: ['select', 'file'],
      allow_file_fields: true,
    };
    const text = layer(config).prompts?.prefix[0] ?? '';
    for (const word of [
      '`ask_boss`',
      'required',
      'infer',
      'select, file',
      'File fields are enabled',
      'at most 2',
      'at most 3',
      '1234',
      '567',
      '89',
      '67',
      'Submit',
    ]) {
      expect(text).toContain(word);
    }
    const none = layer({ max_fields: 0, allowed_field_types: [] }).prompts?.prefix[0] ?? '';
    for (const word of ['none', 'no fields', 'File fields are disabled']) expect(none).toContain(word);
  });

  test('without a description, or with a blank one, there is a stock description', () => {
    const stock = toolOf().definition.description;
    expect(stock).not.toBe('');
    expect(toolOf({ tool_description: ' \n\u2003' }).definition.description).toBe(stock);
    expect(toolOf({ tool_description: null }).definition.description).toBe(stock);
  });

  test('the schema accepts and refuses what the structural rules do', async () => {
    const { parameters } = toolOf().definition;
    const { check, exposed } = await createSchemaCompiler().compile(parameters);
    expect(exposed).toEqual(parameters);
    const generous = {
      max_fields: 16,
      allowed_field_types: ['paragraph', 'select', 'file', 'file-list'],
      allow_file_fields: true,
    };
    const tool = toolOf(generous);
    const select = field({ type: 'select', options: [{ value: 'a', label: 'A' }] });
    for (const args of [
      question({}),
      question({ title: null, markdown: 'm', fields: [], actions: [], urgency: 'high' }),
      question({ fields: [field({ type: 'paragraph', placeholder: 'p', default: null, required: true })] }),
      question({
        fields: [select, field({ name: 'g', type: 'file' }), field({ name: 'h', type: 'file-list', max_files: 2 })],
      }),
      question({ actions: [{ id: 'a', label: 'A', style: 'destructive' }] }),
      {},
      { question: '' },
      question({ more: 1 }),
      question({ urgency: 'low' }),
      question({ title: 1 }),
      question({ fields: {} }),
      question({ fields: [field({})] }),
      question({ fields: [field({ type: 'wat' })] }),
      question({ fields: [field({ type: 'file', options: [] })] }),
      question({ fields: [field({ type: 'select' })] }),
      question({ fields: [field({ type: 'select', options: [] })] }),
      question({ fields: [field({ type: 'select', options: [{ value: 'a' }] })] }),
      question({ fields: [field({ type: 'file-list', max_files: 0 })] }),
      question({ fields: [{ type: 'paragraph', name: 'f' }] }),
      question({ actions: [{ id: 'a' }] }),
      question({ actions: [{ id: 'a', label: 'A', style: 'odd' }] }),
      question({ actions: ['a'] }),
    ]) {
      expect({ args, fits: check(args) === null }).toEqual({ args, fits: tool.validate(JSON.stringify(args)).ok });
    }
  });
});

describe('structure of a call', () => {
  test('no JSON, and no object', () => {
    expect(asked('{bad')).toBe(
      '[{"type":"json_invalid","loc":[],"msg":"Invalid JSON: key must be a string at line 1 column 2","input":"{bad"}]',
    );
    expect(asked('[1]')).toBe('[{"type":"dict_type","loc":[],"msg":"Input should be an object","input":[1]}]');
  });

  test('nothing is a question without one', () => {
    expect(asked('')).toBe(head(1) + told('question', 'Field required', 'missing', '{}', 'dict'));
  });

  test.each<[JsonObject, string, string, string]>([
    [{ question: ' ' }, 'question', 'question must not be blank', "' '"],
    [question({ title: '\t' }), 'title', 'title must not be blank', "'\\t'"],
    [
      question({ fields: [field({ type: 'file', label: ' ' })] }),
      'fields.0.file.label',
      'field label must not be blank',
      "' '",
    ],
    [
      question({ fields: [field({ type: 'paragraph', name: 'a b' })] }),
      'fields.0.paragraph.name',
      'field name must be a valid identifier',
      "'a b'",
    ],
    [question({ actions: [{ id: 'a', label: ' ' }] }), 'actions.0.label', 'action label must not be blank', "' '"],
    [question({ actions: [{ id: '1', label: 'A' }] }), 'actions.0.id', 'action id must be a valid identifier', "'1'"],
  ])('%j', (args, loc, text, value) => {
    expect(asked(args)).toBe(head(1) + told(loc, `Value error, ${text}`, 'value_error', value, 'str'));
  });

  const option = (value: string, label = 'L') => ({ value, label });
  test.each<[JsonObject, string]>([
    [{ options: [option(' ')] }, 'select option value must not be blank'],
    [{ options: [option('a', ' ')] }, 'select option label must not be blank'],
    [{ options: [] }, 'select fields must define at least one option'],
    [{ options: [option('a'), option('b'), option('a')] }, "select field 'f' contains duplicate option value 'a'"],
    [{ options: [option('a')], default: 'b' }, "select field 'f' default must match one of its option values"],
  ])('a select field %j', (own, text) => {
    expect(asked(question({ fields: [field({ type: 'select', ...own })] }))).toContain(
      `  Value error, ${text} [type=value_error`,
    );
  });

  test('names of fields and ids of actions are unique', () => {
    const fields = [field({ type: 'paragraph' }), field({ type: 'paragraph' })];
    const args = question({ fields });
    expect(asked(args)).toStartWith(
      `${head(1)}  Value error, field name 'f' must be unique [type=value_error, input_value={'question': 'Q', 'fields...`,
    );
    const actions = [
      { id: 'x', label: 'X' },
      { id: 'x', label: 'Y' },
    ];
    expect(asked(question({ actions }))).toContain("  Value error, action id 'x' must be unique [type=value_error");
  });

  test('an unknown or missing type of field', () => {
    expect(asked(question({ fields: [field({ type: 'wat' })] }))).toBe(
      head(1) +
        told(
          'fields.0',
          "Input tag 'wat' found using 'type' does not match any of the expected tags: 'paragraph', 'select', 'file', 'file-list'",
          'union_tag_invalid',
          "{'name': 'f', 'label': 'F', 'type': 'wat'}",
          'dict',
        ),
    );
    expect(asked(question({ fields: [field({})] }))).toContain(
      "Unable to extract tag using discriminator 'type' [type=union_tag_not_found",
    );
    expect(asked(question({ fields: [1] }))).toContain('[type=model_attributes_type');
  });

  test('several faults are told together', () => {
    const text = asked({ question: '', urgency: 'low', fields: {}, more: 1 });
    expect(text).toBe(
      head(4) +
        [
          told('question', 'String should have at least 1 character', 'string_too_short', "''", 'str'),
          told('fields', 'Input should be a valid list', 'list_type', '{}', 'dict'),
          told('urgency', "Input should be 'normal' or 'high'", 'literal_error', "'low'", 'str'),
          told('more', 'Extra inputs are not permitted', 'extra_forbidden', '1', 'int'),
        ].join('\n'),
    );
  });

  test('structure comes before policy', () => {
    expect(
      asked(
        {
          question: ' ',
          actions: [
            { id: 'a', label: 'A' },
            { id: 'b', label: 'B' },
          ],
        },
        { max_actions: 1 },
      ),
    ).toContain('must not be blank');
  });

  test('arguments beyond their size are refused without being read', () => {
    expect(asked(`{"question":"${'x'.repeat(262_144)}"}`)).toBe('ask_human arguments must be <= 262144 characters');
  });
});

describe('policy', () => {
  const fields = (count: number) =>
    Array.from({ length: count }, (_, i) => field({ name: `f${i}`, type: 'paragraph' }));
  const actions = (count: number) => Array.from({ length: count }, (_, i) => ({ id: `a${i}`, label: 'A' }));
  const files = { allowed_field_types: ['paragraph', 'file', 'file-list'], allow_file_fields: true };

  test.each<[string, JsonObject, JsonObject, string]>([
    ['too many fields', { fields: fields(9) }, {}, 'ask_human fields must contain at most 8 item(s)'],
    [
      'any field where none is allowed',
      { fields: fields(1) },
      { max_fields: 0 },
      'ask_human fields must contain at most 0 item(s)',
    ],
    ['too many actions', { actions: actions(5) }, {}, 'ask_human actions must contain at most 4 item(s)'],
    [
      'a long question',
      { question: 'x'.repeat(6) },
      { max_question_chars: 5 },
      'ask_human question must be <= 5 characters',
    ],
    ['a long background', { markdown: 'x' }, { max_markdown_chars: 0 }, 'ask_human markdown must be <= 0 characters'],
    [
      'a type that is not allowed',
      { fields: [field({ type: 'file' })] },
      {},
      "ask_human field type 'file' is not allowed by this layer config",
    ],
    [
      'a long field label',
      { fields: [field({ type: 'file', label: 'xyz' })] },
      { ...files, max_field_label_chars: 2 },
      "ask_human field label 'xyz' must be <= 2 characters",
    ],
    [
      'a long action label',
      { actions: [{ id: 'a', label: 'xyz' }] },
      { max_action_label_chars: 2 },
      "ask_human action label 'xyz' must be <= 2 characters",
    ],
  ])('%s', (_, own, config, text) => {
    expect(asked(question(own), config)).toBe(text);
  });

  test('its rules are checked in order', () => {
    const everything = question({ question: 'xx', markdown: 'xx', fields: fields(2), actions: actions(2) });
    const told = [
      { max_fields: 1, max_actions: 1, max_question_chars: 1, max_markdown_chars: 1 },
      { max_actions: 1, max_question_chars: 1, max_markdown_chars: 1 },
      { max_question_chars: 1, max_markdown_chars: 1 },
      { max_markdown_chars: 1 },
    ].map((config) => asked(everything, config).split(' ')[1]);
    expect(told).toEqual(['fields', 'actions', 'question', 'markdown']);
  });

  test('lengths are code points', () => {
    expect(asked({ question: '😀😀' }, { max_question_chars: 2 })).toContain('"question":"😀😀"');
    expect(asked({ question: '😀😀😀' }, { max_question_chars: 2 })).toBe('ask_human question must be <= 2 characters');
  });

  test('an added action counts, and its label obeys the limit', () => {
    expect(asked({ question: 'Q' }, { max_actions: 1 })).toContain(
      '"actions":[{"id":"submit","label":"Submit","style":"primary"}]',
    );
    expect(asked({ question: 'Q' }, { max_action_label_chars: 5 })).toBe(
      "ask_human action label 'Submit' must be <= 5 characters",
    );
  });
});

describe('the published call', () => {
  test('has every optional member, and keeps texts as they are', () => {
    const config = { allowed_field_types: ['paragraph', 'select', 'file', 'file-list'], allow_file_fields: true };
    const fields = [
      field({ type: 'paragraph' }),
      field({ name: 's', type: 'select', options: [{ label: 'A', value: 'a' }] }),
      field({ name: 'g', type: 'file', required: 'yes' }),
      field({ name: 'l', type: 'file-list', max_files: '2' }),
    ];
    expect(asked({ fields, question: ' Q ', actions: [{ label: 'Go', id: 'go' }] }, config)).toBe(
      '{"title":null,"question":" Q ","markdown":null,"fields":[' +
        '{"name":"f","label":"F","required":false,"type":"paragraph","placeholder":null,"default":null},' +
        '{"name":"s","label":"F","required":false,"type":"select","options":[{"value":"a","label":"A"}],"default":null},' +
        '{"name":"g","label":"F","required":true,"type":"file"},' +
        '{"name":"l","label":"F","required":false,"type":"file-list","max_files":2}],' +
        '"actions":[{"id":"go","label":"Go","style":"default"}],"urgency":"normal"}',
    );
  });

  test('carries metadata about the layer', () => {
    expect(parseJson(stringifyJson(layer({ tool_name: 'ask_boss' }).humanInput?.metadata))).toEqual({
      ok: true,
      value: { layer_type: 'dify.ask_human', tool_name: 'ask_boss', schema_version: 1 },
    });
  });
});
