// A layer's config and state, read by their schemas: the value with defaults, or the text that pydantic would print.
// Input values are masked in it: a config may hold credentials (spec 02 §14.5).

import type { JsonObject, JsonValue } from '../base/json.ts';
import { ruleOf, type Schema } from '../protocol/dialect.ts';
import type { Issue } from '../validation/issue.ts';
import { invalidJsonIssue, printPydantic } from '../validation/pydantic.ts';
import { validate } from '../validation/walker.ts';
import { parseJiter } from '../wiretext/jiter.ts';
import { CompositionError } from './errors.ts';
import type { LayerType } from './layer.ts';

/** The config in any of its wire forms: object, null (= `{}`) or JSON text (spec 02 §1). @throws CompositionError */
export function validConfig({ config: schema }: LayerType, config: JsonValue): unknown {
  if (typeof config !== 'string') return valid(schema, config ?? {}, 'python');
  const parsed = parseJiter(config);
  if (parsed.ok) return valid(schema, parsed.value, 'json');
  throw refusal(schema, [invalidJsonIssue(parsed.message, config)]);
}

/** The runtime state of a snapshot, or with null the defaults. @throws CompositionError */
export function validState({ state: schema }: LayerType, state: JsonObject | null): unknown {
  return valid(schema, state ?? {}, 'python');
}

function valid(schema: Schema, input: JsonValue, mode: 'python' | 'json'): unknown {
  const result = validate(schema, input, { mode });
  if (result.ok) return result.value;
  throw refusal(schema, result.issues);
}

function refusal(schema: Schema, issues: readonly Issue[]): CompositionError {
  const rule = ruleOf(schema);
  const className = rule.kind === 'model' ? rule.name : rule.kind; // the header names a class; configs and states are models
  return new CompositionError(printPydantic(className, issues, { maskInput: true }));
}
