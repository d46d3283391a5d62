// For servers whose `run` takes no `env` (shell-session-manager 2.1.1): the environment as part of the script. client.ts finds out
// which servers those are. What such a script prints, reads and returns is what it would have with `env`.

import { ShellctlError } from './port.ts';

/** What a shell can export. */
const NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;

/**
 * A script that does what `script` does in an environment with `env` added.
 *
 * A plain script gets export lines. One with a shebang must stay a file that begins with it: it is written beside the job's own
 * script, into the job's private directory, from where the server runs such scripts itself, and which goes when the job is
 * deleted. It is written first, so that nothing in `env` (PATH, IFS) has a say in that.
 * @throws ShellctlError `invalid_request` for a name that no shell can export
 */
export function withEnvironment(script: string, env: Readonly<Record<string, string>>): string {
  const entries = Object.entries(env);
  if (!entries.every(([name]) => NAME.test(name))) {
    const why = 'this shellctl takes no env, and a script cannot export every name in it';
    throw new ShellctlError('invalid_request', null, why);
  }
  const exports = entries.map(([name, value]) => `export ${name}=${quoted(value)}\n`).join('');
  if (!script.startsWith('#!')) return exports + script;
  return `(umask 077 && printf '%s' ${quoted(script)} >"$0.exec" && chmod 700 "$0.exec") || exit 126
${exports}exec "$0.exec"
`;
}

/** One word of a POSIX shell, whatever is in the text but NUL. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
