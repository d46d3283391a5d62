// What the system prompt says about the shell (spec 04 §2.6), in our own words.

const TOOLS = `You have a shell: scripts run as jobs in a workspace directory of your own.

Tools
- \`shell_run\` starts a script as a new job and returns its first output. Use it for every new command.
- \`shell_wait\` waits for more output, or for the end, of a job that you started. Use it while a job is not done.
- \`shell_input\` types text into a job and waits for what it prints. Use it only when a job waits for input.
- \`shell_interrupt\` stops a job that hangs or that you no longer need; its record stays.

Arguments
- \`script\`: plain shell commands, or a script that begins with a shebang line (\`#!\`), which is then executed directly.
- \`job_id\`: exactly as a result gave it. Never invent one.
- \`timeout\`: seconds to wait for output. When it is over, the job goes on: \`done\` is false, and you wait again.
- \`text\`: sent as it is. End it with a newline where a person would press Enter.
- \`grace_seconds\`: how long a job may take to end by itself before it is killed.

Order: run first; while \`done\` is false, wait; give input only to a job that asks for it; interrupt what is stuck or
superfluous. A result may come early, as soon as the output pauses.`;

const OBJECT_OUTPUT = `
When \`truncated\` is true there is more output already: \`shell_wait\` returns the next part, nothing is lost.`;

const TAGGED_OUTPUT = `
Of long output you see the beginning and the end; the whole of it is in the file at \`output_path\`.`;

const PYTHON = `

For Python, prefer a script that brings its own dependencies (uv, PEP 723):

#!/usr/bin/env -S uv run --script
# /// script
# requires-python = ">=3.12"
# dependencies = ["httpx"]
# ///
import httpx
print(httpx.get("https://example.com").status_code)`;

const WORKSPACE = `

Relative paths are paths in the workspace. Files in it stay for later calls of this session; when the session ends they are
deleted. Do not use it as a permanent store.`;

const TOOLCHAINS = `
What you write to \`$HOME\` outside the workspace stays only when \`dify-agent config manifest\` reports a writable build draft;
otherwise it is rolled back. Changes of the configuration are saved by an explicit push with \`dify-agent config\`.

Preinstalled as a rule: the \`dify-agent\` command (do not install it again), Python 3.12 with uv and pip, Node with pnpm and pnx.
Install further tools for your user, into \`$HOME/.local/bin\` or \`PNPM_HOME\`, and do not write into system paths. MCP servers may
be installed and run in the shell.`;

const SECRETS =
  'Environment variables of the shell may hold secrets. You may name such a variable and use it in scripts, but never reveal its value.';

/** The prefix prompt where results are objects. */
export const OBJECT_GUIDANCE = `${TOOLS}${OBJECT_OUTPUT}${PYTHON}${WORKSPACE}`;

/** The prefix prompt where results are tagged texts. */
export const TAGGED_GUIDANCE = `${TOOLS}${TAGGED_OUTPUT}${PYTHON}${WORKSPACE}${TOOLCHAINS}`;

/** The suffix prompt of newer vintages. */
export const SECRETS_GUIDANCE = SECRETS;
