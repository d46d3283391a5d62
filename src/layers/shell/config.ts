// The configuration of `dify.shell` (spec 04 §2.2): `{}` and null are valid, and so is what any vintage sends. Values travel to
// jobs as they are; what is made of them is environment.ts.

import {
  any,
  checked,
  dict,
  list,
  model,
  nullable,
  type Out,
  optional,
  required,
  type Schema,
  str,
} from '../../protocol/dialect.ts';
import { pyStrip } from '../../wiretext/strip.ts';

const MAX_NAME = 255;
const MAX_DRIVE_REF = 1024;

/** Patterns of one composition, and characters of each: they are compiled before the run starts (patterns.ts). */
const MAX_PATTERNS = 64;
const MAX_PATTERN_CHARS = 1024;

const IDENTIFIER = /^[A-Za-z_][A-Za-z0-9_]*$/;

function atMost(limit: number): Schema<string> {
  return checked(str(), (value) =>
    value.length > limit * 2 || [...value].length > limit ? `String should have at most ${limit} characters` : null,
  );
}

const name = (what: string): Schema<string> =>
  checked(str({ minLength: 1 }), (value) => {
    if (value.length > MAX_NAME) return `String should have at most ${MAX_NAME} characters`;
    return IDENTIFIER.test(value) ? null : `${what} must be a valid shell identifier`;
  });

/** shellctl writes values to files that some of its servers cannot read back with these inside (spec 04 §5.13). */
function hasControlCharacters(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if ((code < 0x20 && code !== 0x09 && code !== 0x0a) || code === 0x7f) return true;
  }
  return false;
}

const value = checked(str(), (text) =>
  hasControlCharacters(text) ? 'env var value must not contain control characters other than tab and newline' : null,
);

const variable = model('DifyShellEnvVarConfig', {
  name: required(name('env var name')),
  value: optional(value, ''),
});

/** A name alone: the value is in the environment of the sandbox's host, and jobs inherit it. */
const secretRef = model('DifyShellSecretRefConfig', {
  name: required(name('secret env var name')),
  ref: optional(nullable(atMost(MAX_NAME)), null),
});

const env = () => optional(list(variable), () => []);
const secretRefs = () => optional(list(secretRef), () => []);

const cliTool = model('DifyShellCliToolConfig', {
  name: optional(nullable(atMost(MAX_NAME)), null),
  /** Run once, when the workspace is made; blank ones are dropped. */
  install_commands: optional(list(str()), () => []),
  env: env(),
  secret_refs: secretRefs(),
});

const sandbox = model('DifyShellSandboxConfig', {
  provider: optional(nullable(atMost(MAX_NAME)), null),
  config: optional(dict(any()), () => ({})),
  /** Of an enterprise variant; nothing here uses it. */
  gateway_endpoint: optional(nullable(atMost(MAX_NAME)), null),
});

const patterns = checked(list(atMost(MAX_PATTERN_CHARS)), (all) =>
  all.length > MAX_PATTERNS ? `redact_patterns must contain at most ${MAX_PATTERNS} item(s)` : null,
);

/** Validates the config of `dify.shell`. */
export const shellConfig = model('DifyShellLayerConfig', {
  agent_stub_drive_ref: optional(nullable(atMost(MAX_DRIVE_REF)), null),
  cli_tools: optional(list(cliTool), () => []),
  env: env(),
  secret_refs: secretRefs(),
  sandbox: optional(nullable(sandbox), null),
  redact_patterns: optional(patterns, () => []),
});
/** The validated config of `dify.shell`. */
export type ShellConfig = Out<typeof shellConfig>;

/** What to run when the workspace is made, in order. */
export function installCommands({ cli_tools: tools }: ShellConfig): readonly string[] {
  return tools.flatMap((tool) => tool.install_commands.map(pyStrip)).filter((command) => command !== '');
}
