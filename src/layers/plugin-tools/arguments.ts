// From the model's arguments to what the tool gets (spec 03 §5.1): adds the hidden values, fills in defaults and casts.
// How a single value is cast is cast.ts.

import type { JsonObject, JsonValue } from '../../base/json.ts';
import { keysOf, objectFromEntries } from '../../wiretext/json.ts';
import { castArgument, ToolArgumentError } from './cast.ts';
import type { ToolConfig } from './config.ts';

type Declaration = Pick<ToolConfig, 'parameters' | 'runtime_parameters'>;

/**
 * The `tool_parameters` of a request: declared parameters in their order, cast, then everything else as it is. The model
 * cannot give what is hidden from it: values of parameters with another form than `llm`, and undeclared values that the
 * configuration gives (03 §10.8). Throws ToolArgumentError.
 */
export function toolParameters(declaration: Declaration, args: JsonObject): JsonObject {
  const { parameters, runtime_parameters: hidden } = declaration;
  const ofModel = givenByModel(declaration);
  const merged = new Map<string, JsonValue>();
  for (const key of keysOf(hidden)) merged.set(key, hidden[key] ?? null);
  for (const key of keysOf(args)) if (ofModel(key)) merged.set(key, args[key] ?? null);

  const prepared = new Map<string, JsonValue>();
  for (const parameter of parameters) {
    const { name } = parameter;
    const value = merged.get(name) ?? (merged.has(name) ? null : parameter.default);
    if (value !== null || merged.has(name)) prepared.set(name, castArgument(parameter, value));
    else if (parameter.required) throw new ToolArgumentError(`tool parameter ${name} not found in tool config`);
  }
  for (const [key, value] of merged) if (!prepared.has(key)) prepared.set(key, value);
  return objectFromEntries(prepared);
}

function givenByModel({ parameters, runtime_parameters: hidden }: Declaration): (key: string) => boolean {
  const declared = new Set(parameters.map(({ name }) => name));
  const secured = new Set(parameters.filter(({ form }) => form !== 'llm').map(({ name }) => name));
  return (key) => !secured.has(key) && (declared.has(key) || !Object.hasOwn(hidden, key));
}

/** Required hidden parameters that nothing gives a value (03 §1.5). */
export function missingHiddenParameters({ parameters, runtime_parameters: hidden }: Declaration): readonly string[] {
  return parameters
    .filter((parameter) => parameter.form !== 'llm' && parameter.required && parameter.default === null)
    .map(({ name }) => name)
    .filter((name) => !Object.hasOwn(hidden, name));
}
