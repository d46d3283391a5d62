// The tool through which a model asks a person (spec 02 §10.2): what the model reads about it, and what is made of a
// call. The words and the schema are ours; equivalent to the reference's.

import { readArguments } from '../../agent/arguments.ts';
import type { ExternalTool } from '../../agent/tools.ts';
import type { JsonObject } from '../../base/json.ts';
import { printPydantic } from '../../validation/pydantic.ts';
import { compile } from '../../validation/walker.ts';
import type { AskHumanPolicy } from './config.ts';
import { applyPolicy } from './policy.ts';
import { QUESTION_CLASS, question } from './question.ts';

const STOCK_DESCRIPTION =
  'Ask a person for input that is needed to go on: a question, optionally with form fields and action buttons. ' +
  'The run pauses until the answer is there.';

/** UTF-16 units of a call's arguments. The policy bounds what people read; this bounds the rest, e.g. options and defaults. */
const MAX_ARGUMENT_CHARS = 262_144;

/** The tool. Valid arguments come back in the normalised form that is published (spec 02 §10.4). */
export function askHumanTool(policy: AskHumanPolicy): ExternalTool {
  const validateQuestion = compile(question);
  return {
    kind: 'external',
    definition: {
      name: policy.toolName,
      description: policy.toolDescription ?? STOCK_DESCRIPTION,
      parameters: PARAMETERS,
    },
    validate(args) {
      if (typeof args === 'string' && args.length > MAX_ARGUMENT_CHARS) {
        return { ok: false, retry: `ask_human arguments must be <= ${MAX_ARGUMENT_CHARS} characters` };
      }
      const read = readArguments(args);
      if (!read.ok) return read;
      const parsed = validateQuestion(read.value);
      if (!parsed.ok) return { ok: false, retry: printPydantic(QUESTION_CLASS, parsed.issues, { maskInput: false }) };
      const checked = applyPolicy(policy, parsed.value);
      if (!checked.ok) return { ok: false, retry: checked.text };
      return { ok: true, value: { ...checked.question } };
    },
  };
}

/** What the system prompt says about the tool. */
export function guidance(policy: AskHumanPolicy): string {
  const { toolName: tool, fieldTypes, maxFields } = policy;
  const types = fieldTypes.length === 0 ? 'none' : fieldTypes.join(', ');
  const fields = maxFields === 0 ? 'no fields are allowed' : `at most ${maxFields}`;
  return [
    `You can call the tool \`${tool}\` to ask a person. Call it only for input that is required to go on; never for what ` +
      'you can infer from the conversation or find out with other tools.',
    `Rules for a call of \`${tool}\`:`,
    `- Allowed field types: ${types}. File fields are ${policy.fileFields ? 'enabled' : 'disabled'}.`,
    `- Number of fields: ${fields}. Number of actions: at most ${policy.maxActions}.`,
    `- Longest texts, in characters: question ${policy.maxQuestionChars}, markdown ${policy.maxMarkdownChars}, ` +
      `field label ${policy.maxFieldLabelChars}, action label ${policy.maxActionLabelChars}.`,
    '- If you leave out the actions, the person gets one primary action, Submit.',
  ].join('\n');
}

const NULLABLE_TEXT = { anyOf: [{ type: 'string' }, { type: 'null' }], default: null };
const REQUIRED_TEXT = { type: 'string', minLength: 1 };

/** One kind of field: what all have, then its own members. */
function fieldSchema(type: string, own: JsonObject = {}, required: readonly string[] = []): JsonObject {
  return {
    type: 'object',
    properties: {
      name: { ...REQUIRED_TEXT, description: 'Identifier of the value in the answer, unique within the form' },
      label: { ...REQUIRED_TEXT, description: 'What the person reads' },
      required: { type: 'boolean', default: false },
      type: { type: 'string', const: type },
      ...own,
    },
    required: ['name', 'label', 'type', ...required],
    additionalProperties: false,
  };
}

const PARAMETERS: JsonObject = {
  type: 'object',
  properties: {
    title: { ...NULLABLE_TEXT, description: 'Short heading' },
    question: { ...REQUIRED_TEXT, description: 'What the person is asked' },
    markdown: { ...NULLABLE_TEXT, description: 'Background that the person needs, as Markdown' },
    fields: {
      type: 'array',
      default: [],
      items: {
        oneOf: [
          fieldSchema('paragraph', { placeholder: NULLABLE_TEXT, default: NULLABLE_TEXT }),
          fieldSchema(
            'select',
            {
              options: {
                type: 'array',
                minItems: 1,
                items: {
                  type: 'object',
                  properties: { value: REQUIRED_TEXT, label: REQUIRED_TEXT },
                  required: ['value', 'label'],
                  additionalProperties: false,
                },
              },
              default: { ...NULLABLE_TEXT, description: 'The value of one of the options' },
            },
            ['options'],
          ),
          fieldSchema('file'),
          fieldSchema('file-list', {
            max_files: { anyOf: [{ type: 'integer', minimum: 1 }, { type: 'null' }], default: null },
          }),
        ],
      },
    },
    actions: {
      type: 'array',
      default: [],
      description: 'Buttons that end the form',
      items: {
        type: 'object',
        properties: {
          id: { ...REQUIRED_TEXT, description: 'Identifier, unique within the form' },
          label: REQUIRED_TEXT,
          style: { type: 'string', enum: ['default', 'primary', 'destructive'], default: 'default' },
        },
        required: ['id', 'label'],
        additionalProperties: false,
      },
    },
    urgency: { type: 'string', enum: ['normal', 'high'], default: 'normal' },
  },
  required: ['question'],
  additionalProperties: false,
};
