// The arguments of a question to a person (spec 02 §10.2, §10.3): their shape, with the texts of the reference. What a
// layer's policy allows is policy.ts; the JSON Schema that the model sees is tool.ts.

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
  required,
  type Schema,
  str,
  tagged,
} from '../../protocol/dialect.ts';
import { isBlank } from '../../wiretext/strip.ts';
import { IDENTIFIER } from './config.ts';

const text = (what: string): Schema<string> =>
  checked(str({ minLength: 1 }), (value) => (isBlank(value) ? `${what} must not be blank` : null));

const identifier = (what: string): Schema<string> =>
  checked(str({ minLength: 1 }), (value) => (IDENTIFIER.test(value) ? null : `${what} must be a valid identifier`));

/** What every field has; they come first in the normalised form. */
const common = {
  name: required(identifier('field name')),
  label: required(text('field label')),
  required: optional(bool(), false),
};

const paragraph = model('AskHumanParagraphField', {
  ...common,
  type: required(literal('paragraph')),
  placeholder: optional(nullable(str()), null),
  default: optional(nullable(str()), null),
});

const option = model('AskHumanSelectOption', {
  value: required(text('select option value')),
  label: required(text('select option label')),
});

const select = model(
  'AskHumanSelectField',
  {
    ...common,
    type: required(literal('select')),
    options: required(list(option)),
    default: optional(nullable(str()), null),
  },
  {
    check({ name, options, default: chosen }) {
      if (options.length === 0) return 'select fields must define at least one option';
      const values = options.map(({ value }) => value);
      const twice = firstRepeated(values);
      if (twice !== null) return `select field '${name}' contains duplicate option value '${twice}'`;
      if (chosen === null || values.includes(chosen)) return null;
      return `select field '${name}' default must match one of its option values`;
    },
  },
);

const file = model('AskHumanFileField', { ...common, type: required(literal('file')) });

const fileList = model('AskHumanFileListField', {
  ...common,
  type: required(literal('file-list')),
  max_files: optional(nullable(int({ ge: 1 })), null),
});

const field = tagged('type', { paragraph, select, file, 'file-list': fileList });

const action = model('AskHumanAction', {
  id: required(identifier('action id')),
  label: required(text('action label')),
  style: optional(literal('default', 'primary', 'destructive'), 'default'),
});

export type Field = Out<typeof field>;
export type Action = Out<typeof action>;

/** The class name that stands over the reference's list of faults. */
export const QUESTION_CLASS = 'AskHumanToolArgs';

/** A question; its value is the normalised form: every optional member is there (spec 02 §10.4). */
export const question = model(
  QUESTION_CLASS,
  {
    title: optional(nullable(checked(str(), (value) => (isBlank(value) ? 'title must not be blank' : null))), null),
    question: required(text('question')),
    markdown: optional(nullable(str()), null),
    fields: optional(list(field), (): readonly Field[] => []),
    actions: optional(list(action), (): readonly Action[] => []),
    urgency: optional(literal('normal', 'high'), 'normal'),
  },
  {
    check({ fields, actions }) {
      const name = firstRepeated(fields.map((each) => each.name));
      if (name !== null) return `field name '${name}' must be unique`;
      const id = firstRepeated(actions.map((each) => each.id));
      return id === null ? null : `action id '${id}' must be unique`;
    },
  },
);

export type Question = Out<typeof question>;

function firstRepeated(values: readonly string[]): string | null {
  return values.find((value, i) => values.indexOf(value) < i) ?? null;
}
