// The configuration of `dify.ask_human` (spec 02 §10.1): what the model may ask of a person.

import {
  bool,
  checked,
  int,
  list,
  literal,
  model,
  nullable,
  type Out,
  optional,
  type Schema,
  str,
} from '../../protocol/dialect.ts';
import { compareNumber, type JsonNumber, toNumber } from '../../wiretext/numbers.ts';
import { pyStrip } from '../../wiretext/strip.ts';

/** Kinds of form fields. */
export const FIELD_TYPES = ['paragraph', 'select', 'file', 'file-list'] as const;
export type FieldType = (typeof FIELD_TYPES)[number];

/** The identifiers of tools, fields and actions. */
export const IDENTIFIER = /^[A-Za-z_][A-Za-z0-9_]*$/;

const isFileType = (type: FieldType): boolean => type === 'file' || type === 'file-list';

/** A whole number from `least` on; above `most` the reference has a text of its own. */
function capped(field: string, least: number, most: number): Schema<JsonNumber> {
  return checked(int({ ge: least }), (value) =>
    compareNumber(value, most) > 0 ? `${field} must be <= ${most}` : null,
  );
}

/** As submitted, with defaults. */
export const askHumanConfig = model(
  'DifyAskHumanLayerConfig',
  {
    enabled: optional(bool(), true),
    tool_name: optional(
      checked(str(), (name) => (IDENTIFIER.test(name) ? null : 'tool_name must be a valid tool identifier')),
      'ask_human',
    ),
    tool_description: optional(nullable(str()), null),
    max_fields: optional(capped('max_fields', 0, 16), 8),
    max_actions: optional(capped('max_actions', 1, 8), 4),
    allowed_field_types: optional(
      checked(list(literal(...FIELD_TYPES)), (types) =>
        new Set(types).size === types.length ? null : 'allowed_field_types must not contain duplicates',
      ),
      (): readonly FieldType[] => ['paragraph', 'select'],
    ),
    allow_file_fields: optional(bool(), false),
    max_markdown_chars: optional(capped('max_markdown_chars', 0, 20_000), 8000),
    max_question_chars: optional(capped('max_question_chars', 1, 4000), 1000),
    max_field_label_chars: optional(capped('max_field_label_chars', 1, 200), 120),
    max_action_label_chars: optional(capped('max_action_label_chars', 1, 120), 80),
  },
  {
    check({ allow_file_fields: allowed, allowed_field_types: types }) {
      const fileTypes = types.filter(isFileType);
      if (allowed || fileTypes.length === 0) return null;
      return `allowed_field_types cannot include file field types when allow_file_fields is false: ${fileTypes.join(', ')}`;
    },
  },
);

export type AskHumanConfig = Out<typeof askHumanConfig>;

/** What a question may be like. Lengths are code points. */
export interface AskHumanPolicy {
  readonly toolName: string;
  /** Null: the stock description. */
  readonly toolDescription: string | null;
  readonly maxFields: number;
  readonly maxActions: number;
  readonly fieldTypes: readonly FieldType[];
  readonly fileFields: boolean;
  readonly maxMarkdownChars: number;
  readonly maxQuestionChars: number;
  readonly maxFieldLabelChars: number;
  readonly maxActionLabelChars: number;
}

/** The policy that a configuration describes. */
export function policyOf(config: AskHumanConfig): AskHumanPolicy {
  const description = pyStrip(config.tool_description ?? '');
  return {
    toolName: config.tool_name,
    toolDescription: description === '' ? null : description,
    maxFields: toNumber(config.max_fields),
    maxActions: toNumber(config.max_actions),
    fieldTypes: config.allowed_field_types,
    fileFields: config.allow_file_fields,
    maxMarkdownChars: toNumber(config.max_markdown_chars),
    maxQuestionChars: toNumber(config.max_question_chars),
    maxFieldLabelChars: toNumber(config.max_field_label_chars),
    maxActionLabelChars: toNumber(config.max_action_label_chars),
  };
}
