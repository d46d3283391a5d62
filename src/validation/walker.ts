// The schema walker: compiles the rules of a schema (protocol/dialect.ts) to closures, once per schema, and runs them
// over parsed JSON in pydantic's lax mode. Order of issues, locations and texts are pydantic's; printing is not here.

import { isJsonObject } from '../base/json.ts';
import { type Rule, ruleOf, type Schema } from '../protocol/dialect.ts';
import { hasKeyOrder, keysOf, rememberOrder, setOwn } from '../wiretext/keys.ts';
import { datetimeNode } from './datetime.ts';
import { decimalNode } from './decimal.ts';
import type { Issue, Result } from './issue.ts';
import { modelNode, taggedNode } from './model.ts';
import { boolNode, choiceNode, floatNode, intNode, stringNode } from './scalars.ts';
import { EXACT, floor, INVALID, isFull, LAX, type Mode, type Node, newState, report, type State } from './state.ts';

export type { Mode } from './state.ts';

/** How to validate. */
export interface ValidateOptions {
  /** Default `python`. */
  readonly mode?: Mode;
}

/** A compiled schema. */
export type Validator<T> = (input: unknown, options?: ValidateOptions) => Result<T>;

// Keyed by the schema itself and invisible from outside: a memo, not state.
const compiled = new WeakMap<Schema, Node>();

/** The validator of a schema; compiling happens once per schema. */
export function compile<T>(schema: Schema<T>): Validator<T> {
  const node = nodeOf(schema);
  return (input, options = {}) => {
    const state = newState(options.mode ?? 'python');
    const value = node(input, state);
    if (value === INVALID) return { ok: false, issues: state.issues };
    return { ok: true, value: value as T }; // the node was compiled from the schema of T
  };
}

/** Validates once: `compile(schema)(input, options)`. */
export function validate<T>(schema: Schema<T>, input: unknown, options?: ValidateOptions): Result<T> {
  return compile(schema)(input, options);
}

function nodeOf(schema: Schema): Node {
  const known = compiled.get(schema);
  if (known !== undefined) return known;
  const node = build(ruleOf(schema));
  compiled.set(schema, node);
  return node;
}

function build(rule: Rule): Node {
  switch (rule.kind) {
    case 'string':
      return stringNode(rule);
    case 'int':
      return intNode(rule);
    case 'float':
      return floatNode;
    case 'bool':
      return boolNode;
    case 'decimal':
      return decimalNode;
    case 'choice':
      return choiceNode(rule);
    case 'datetime':
      return datetimeNode;
    case 'list':
      return listNode(nodeOf(rule.item), rule.sequence);
    case 'dict':
      return dictNode(nodeOf(rule.value));
    case 'model':
      return modelNode(rule, nodeOf);
    case 'tagged':
      return taggedNode(rule, nodeOf);
    case 'union':
      return unionNode(rule.members.map(({ label, schema }) => ({ label, node: nodeOf(schema) })));
    case 'nullable': {
      const inner = nodeOf(rule.inner);
      return (input, state) => (input === null ? null : inner(input, state));
    }
    case 'checked':
      return checkedNode(nodeOf(rule.inner), rule.check as (value: unknown) => string | null); // it gets the inner value
    case 'json':
      return (input, state) => (jsonFits(input, state, state.mode === 'attributes' ? 2 : 1) ? input : INVALID);
    case 'refused':
      return (input, state) => report(state, rule.type, rule.msg, input, rule.ctx ?? undefined);
    case 'any':
      return (input, state) => {
        floor(state, LAX);
        return input;
      };
  }
}

function listNode(item: Node, sequence: boolean): Node {
  return (input, state) => {
    if (!Array.isArray(input)) return sequence ? noSequence(input, state) : noList(input, state);
    const output: unknown[] = [];
    let valid = true;
    for (let i = 0; i < input.length && !isFull(state); i++) {
      state.loc.push(i);
      const value = item(input[i], state);
      state.loc.pop();
      if (value === INVALID) valid = false;
      else output.push(value);
    }
    return valid ? output : INVALID;
  };
}

function noList(input: unknown, state: State): typeof INVALID {
  return report(state, 'list_type', `Input should be a valid ${state.mode === 'json' ? 'array' : 'list'}`, input);
}

/** `typing.Sequence`: a Python str is one, and is refused by name. */
function noSequence(input: unknown, state: State): typeof INVALID {
  if (state.mode === 'json') return noList(input, state);
  if (typeof input !== 'string') {
    const msg = 'Input should be an instance of Sequence';
    return report(state, 'is_instance_of', msg, input, { class: 'Sequence' });
  }
  const msg = "'str' instances are not allowed as a Sequence value";
  return report(state, 'sequence_str', msg, input, { type_name: 'str' });
}

function dictNode(node: Node): Node {
  return (input, state) => {
    if (!isJsonObject(input)) {
      const msg = state.mode === 'json' ? 'Input should be an object' : 'Input should be a valid dictionary';
      return report(state, 'dict_type', msg, input);
    }
    const output = {};
    let valid = true;
    const keys = keysOf(input);
    for (const key of keys) {
      if (isFull(state)) break;
      state.loc.push(key);
      const value = node(input[key], state);
      state.loc.pop();
      if (value === INVALID) valid = false;
      else setOwn(output, key, value);
    }
    if (!valid) return INVALID;
    return hasKeyOrder(input) ? rememberOrder(output, keys) : output;
  };
}

function checkedNode(inner: Node, check: (value: unknown) => string | null): Node {
  return (input, state) => {
    const value = inner(input, state);
    if (value === INVALID) return INVALID;
    const text = check(value);
    return text === null ? value : report(state, 'value_error', `Value error, ${text}`, input, { error: {} });
  };
}

/** Smart union: the best success wins (an exact one at once); without any, every member's issues, under its label. */
function unionNode(members: readonly { readonly label: string; readonly node: Node }[]): Node {
  return (input, state) => {
    const { issues: before, exactness: exactnessBefore, fieldsSet: fieldsBefore } = state;
    const failures: Issue[] = [];
    let best: { value: unknown; exactness: State['exactness']; fieldsSet: number } | undefined;
    for (const { label, node } of members) {
      state.issues = [];
      state.exactness = EXACT;
      state.fieldsSet = 0;
      state.loc.push(label);
      const value = node(input, state);
      state.loc.pop();
      const { exactness, fieldsSet } = state;
      if (value === INVALID) {
        for (const issue of state.issues) failures.push(issue);
        continue;
      }
      const better =
        best === undefined ||
        fieldsSet > best.fieldsSet ||
        (fieldsSet === best.fieldsSet && exactness > best.exactness);
      if (better) best = { value, exactness, fieldsSet };
      if (exactness === EXACT && fieldsSet === 0) break;
    }
    state.issues = before;
    state.exactness = exactnessBefore;
    state.fieldsSet = fieldsBefore;
    if (best !== undefined) {
      floor(state, best.exactness);
      state.fieldsSet += best.fieldsSet;
      return best.value;
    }
    for (const issue of failures) if (!isFull(state)) state.issues.push(issue);
    return INVALID;
  };
}

/**
 * pydantic's recursion guard: the 256th level of a JsonValue is refused, whatever it holds. A FastAPI body is itself a
 * level (its model is wrapped in a reference), which leaves 254.
 */
const MAX_JSON_LEVELS = 255;

/** Reports every branch that is too deep; the value itself needs no other check. */
function jsonFits(input: unknown, state: State, level: number): boolean {
  if (level > MAX_JSON_LEVELS) {
    report(state, 'recursion_loop', 'Recursion error - cyclic reference detected', input);
    return false;
  }
  let fits = true;
  if (Array.isArray(input)) {
    for (let i = 0; i < input.length && !isFull(state); i++) {
      const item: unknown = input[i];
      if (typeof item !== 'object' && level < MAX_JSON_LEVELS) continue;
      state.loc.push('list', i);
      if (!jsonFits(item, state, level + 1)) fits = false;
      state.loc.length -= 2;
    }
  } else if (isJsonObject(input)) {
    for (const key of keysOf(input)) {
      const member = input[key];
      if (typeof member !== 'object' && level < MAX_JSON_LEVELS) continue;
      if (isFull(state)) break;
      state.loc.push('dict', key);
      if (!jsonFits(member, state, level + 1)) fits = false;
      state.loc.length -= 2;
    }
  }
  return fits;
}
