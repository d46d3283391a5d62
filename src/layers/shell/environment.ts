// What jobs find in their environment (spec 04 §2.7). Values travel in shellctl's `env` map and never in a script: a script that
// begins with `#!` stays one, and no value lies in a script file (§5.1, §5.2). Secret references need nothing: what they name is
// in the environment of shellctl's host, which jobs inherit.

import { isJsonObject, type JsonValue } from '../../base/json.ts';
import { jsonDumps, objectFromEntries } from '../../wiretext/json.ts';
import type { ShellConfig } from './config.ts';
import { isSecret, secretsIn } from './secrets.ts';

/** Name → value. */
export type Environment = Readonly<Record<string, string>>;

/** The variables of a configuration: its own, then each tool's, then the sandbox's; a later one replaces an earlier one. */
export function configEnvironment({ env, cli_tools: tools, sandbox }: ShellConfig): Environment {
  const variables = [...env, ...tools.flatMap((tool) => tool.env)].map(
    ({ name, value }) => [name, value.toWellFormed()] as const,
  );
  const provider = sandbox?.provider ?? '';
  const config = sandbox?.config ?? {};
  return Object.fromEntries([
    ...variables,
    ...(provider === '' ? [] : [['DIFY_SANDBOX_PROVIDER', provider] as const]),
    ...(Object.keys(config).length === 0 ? [] : [['DIFY_SANDBOX_CONFIG_JSON', sortedAscii(config)] as const]),
  ]);
}

/** The values of a configuration that the model must not see, by the names of their variables. */
export function configSecrets({ env, cli_tools: tools, sandbox }: ShellConfig): readonly string[] {
  const variables = [...env, ...tools.flatMap((tool) => tool.env)];
  const secret = variables.filter(({ name, value }) => isSecret(name, value)).map(({ value }) => value);
  return [...secret, ...secretsIn(sandbox?.config ?? {})];
}

/** What a job of the model gets: the configuration cannot replace what the stub needs. Null: nothing. */
export function jobEnvironment(own: Environment, stub: Environment | null): Environment | null {
  const all = stub === null ? own : { ...without(own, STUB_PREFIX), ...stub };
  return Object.keys(all).length === 0 ? null : all;
}

const STUB_PREFIX = 'DIFY_AGENT_STUB_';

function without(environment: Environment, prefix: string): Environment {
  return Object.fromEntries(Object.entries(environment).filter(([name]) => !name.startsWith(prefix)));
}

/** `json.dumps(value, sort_keys=True)`. */
function sortedAscii(value: unknown): string {
  return asciiJson(jsonDumps(sorted(value as JsonValue))); // a part of the composition, which is JSON
}

function sorted(value: JsonValue): JsonValue {
  if (Array.isArray(value)) return value.map(sorted);
  if (!isJsonObject(value)) return value;
  const entries = Object.entries(value).map(([key, member]) => [key, sorted(member)] as const);
  return objectFromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** JSON text with everything beyond ASCII escaped. */
export function asciiJson(json: string): string {
  return json.replace(/[\u0080-\uffff]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
