// The schemas of pydantic.json, by the names that its rows use. The same models were declared in Python with
// pydantic 2.12.5 to record the answers; keep both in step when a row is added.

import {
  bool,
  datetime,
  decimal,
  dict,
  enumeration,
  float,
  int,
  json,
  list,
  literal,
  model,
  nullable,
  optional,
  required,
  type Schema,
  str,
  tagged,
  union,
} from '../../../src/protocol/dialect.ts';
import { createRunRequest, sessionSnapshot } from '../../../src/protocol/runs.ts';

const emptyObject = () => ({});
const dc = model(
  'DC',
  { a: required(int()), b: optional(str(), 'x'), k: optional(literal('dc'), 'dc') },
  { flavour: 'dataclass' },
);
const di = model(
  'DI',
  { a: required(int()), c: optional(float(), 0.5), k: optional(literal('di'), 'di') },
  { flavour: 'dataclass', extra: 'ignore' },
);
const td = model('TD', { a: required(int()), b: { schema: str(), required: false } }, { flavour: 'typed_dict' });
const sub = model('Sub', { x: required(int()), y: optional(str(), 'd') });
const nested = model('Model', {
  a: required(str()),
  sub: required(sub),
  subs: optional(list(sub), () => []),
  n: optional(nullable(sub), null),
  d: optional(dict(sub), emptyObject),
  f: optional(float(), () => JSON.rawJSON('1.0')),
});
const tags = () => tagged('k', { dc, di });
const prompts = () => optional(union({ 'list[str]': list(str()), str: str() }), () => []);

export const SCHEMAS: Readonly<Record<string, Schema>> = {
  int: int(),
  float: float(),
  bool: bool(),
  decimal: decimal(),
  str: str(),
  str1: str({ minLength: 1 }),
  str2: str({ minLength: 2 }),
  intBounds: int({ ge: 1, le: 5 }),
  intPos: int({ gt: 0 }),
  enum: enumeration('new', 'active', 'suspended', 'closed'),
  literal: literal('a', "b'c", 'd"e'),
  literal1: literal('only'),
  literalInt: literal(1, 2, 'x'),
  list: list(int()),
  dict: dict(int()),
  json: json(),
  datetime: datetime(),
  dc,
  di,
  td,
  model: nested,
  alias: model('Al', {
    a: optional(int(), 0, { aliases: ['old_a'] }),
    b: optional(int(), 0, { aliases: ['old_b', 'older_b'] }),
  }),
  checked: model(
    'Checked',
    { a: required(int()) },
    { check: ({ a }) => (typeof a === 'number' && a > 3 ? 'too big' : null) },
  ),
  tagged: tags(),
  listTagged: list(tags()),
  scalar: nullable(union({ str: str(), int: int(), float: float(), bool: bool() })),
  intFloat: union({ int: int(), float: float() }),
  boolInt: union({ bool: bool(), int: int() }),
  models: union({
    A1: model('A1', { x: optional(int(), 0), y: optional(int(), 0) }, { extra: 'ignore' }),
    A2: model('A2', { x: optional(int(), 0), z: optional(int(), 0) }, { extra: 'ignore' }),
  }),
  prompt: model('Prompt', { prefix: prompts(), user: prompts() }),
  strOrTagged: union({ str: str(), 'tagged-union[DC,DI]': tags() }),
  boolOrChoice: union({ bool: bool(), "literal['a','b']": literal('a', 'b') }),
  request: createRunRequest,
  snapshot: sessionSnapshot,
};
