// Objects with named fields (BaseModel, dataclass, TypedDict) and unions that a tag decides.

import { isJsonObject } from '../base/json.ts';
import type { Field, Rule, Schema } from '../protocol/dialect.ts';
import { keysOf, setOwn } from '../wiretext/keys.ts';
import { pyRepr } from '../wiretext/repr.ts';
import { floor, INVALID, isFull, LAX, type Node, report, type State } from './state.ts';

type ModelRule = Extract<Rule, { kind: 'model' }>;
type TaggedRule = Extract<Rule, { kind: 'tagged' }>;
type Compiler = (schema: Schema) => Node;

interface CompiledField extends Pick<Field, 'required' | 'makeDefault'> {
  readonly name: string;
  /** The field's name and its aliases, in the order in which they are looked for. */
  readonly keys: readonly string[];
  readonly node: Node;
}

/** A model: declared fields in order, then what is unknown in input order, then the model's own check. */
export function modelNode(rule: ModelRule, compile: Compiler): Node {
  const fields = Object.entries(rule.fields).map(
    ([name, field]): CompiledField => ({
      name,
      keys: [name, ...(field.aliases ?? [])],
      node: compile(field.schema),
      required: field.required,
      ...(field.makeDefault === undefined ? {} : { makeDefault: field.makeDefault }),
    }),
  );
  const tolerated = new Set(rule.tolerated);
  const check = rule.check as ((value: unknown) => string | null) | undefined; // it gets the model's own value
  const [extraType, extraMsg] =
    rule.flavour === 'dataclass'
      ? ['unexpected_keyword_argument', 'Unexpected keyword argument']
      : ['extra_forbidden', 'Extra inputs are not permitted'];

  return (input, state) => {
    if (!isJsonObject(input)) return notObject(rule, input, state);
    floor(state, LAX);
    const output = {};
    const used = new Set<string>();
    let valid = true;
    for (const field of fields) {
      const key = field.keys.find((name) => Object.hasOwn(input, name) && input[name] !== undefined);
      if (key === undefined) {
        if (field.required) {
          state.loc.push(field.name);
          report(state, 'missing', 'Field required', input);
          state.loc.pop();
          valid = false;
        } else if (field.makeDefault !== undefined) setOwn(output, field.name, field.makeDefault());
        continue;
      }
      used.add(key);
      state.loc.push(key);
      const value = field.node(input[key], state);
      state.loc.pop();
      if (value === INVALID) valid = false;
      else setOwn(output, field.name, value);
    }
    state.fieldsSet += used.size;
    if (rule.extra === 'forbid') {
      for (const key of keysOf(input)) {
        if (used.has(key) || tolerated.has(key) || input[key] === undefined) continue;
        if (isFull(state)) break;
        state.loc.push(key);
        report(state, extraType, extraMsg, input[key]);
        state.loc.pop();
        valid = false;
      }
    }
    if (!valid) return INVALID;
    const text = check?.(output) ?? null;
    return text === null ? output : report(state, 'value_error', `Value error, ${text}`, input, { error: {} });
  };
}

function notObject(rule: ModelRule, input: unknown, state: State): typeof INVALID {
  const { flavour, name } = rule;
  const json = state.mode === 'json';
  if (flavour === 'typed_dict') {
    return report(state, 'dict_type', json ? 'Input should be an object' : 'Input should be a valid dictionary', input);
  }
  if (flavour === 'dataclass') {
    const msg = json ? 'Input should be an object' : `Input should be a dictionary or an instance of ${name}`;
    return report(state, 'dataclass_type', msg, input, { class_name: name });
  }
  if (state.mode === 'attributes') return noAttributes(input, state);
  const msg = json ? 'Input should be an object' : `Input should be a valid dictionary or instance of ${name}`;
  return report(state, 'model_type', msg, input, { class_name: name });
}

function noAttributes(input: unknown, state: State): typeof INVALID {
  const msg = 'Input should be a valid dictionary or object to extract fields from';
  return report(state, 'model_attributes_type', msg, input);
}

/** A discriminated union: the tag chooses the member and stands in the location. */
export function taggedNode(rule: TaggedRule, compile: Compiler): Node {
  const choices = new Map(Object.entries(rule.choices).map(([tag, schema]) => [tag, compile(schema)]));
  const discriminator = pyRepr(rule.tag);
  const expectedTags = [...choices.keys()].map((tag) => `'${tag}'`).join(', ');

  return (input, state) => {
    if (!isJsonObject(input)) {
      return state.mode === 'json'
        ? report(state, 'dict_type', 'Input should be an object', input)
        : noAttributes(input, state);
    }
    const tag = Object.hasOwn(input, rule.tag) ? input[rule.tag] : undefined;
    if (tag === undefined) {
      const msg = `Unable to extract tag using discriminator ${discriminator}`;
      return report(state, 'union_tag_not_found', msg, input, { discriminator });
    }
    const node = typeof tag === 'string' ? choices.get(tag) : undefined;
    if (typeof tag !== 'string' || node === undefined) {
      const text = typeof tag === 'string' ? tag : pyRepr(tag);
      const msg = `Input tag '${text}' found using ${discriminator} does not match any of the expected tags: ${expectedTags}`;
      return report(state, 'union_tag_invalid', msg, input, { discriminator, tag: text, expected_tags: expectedTags });
    }
    state.loc.push(tag);
    const value = node(input, state);
    state.loc.pop();
    return value;
  };
}
