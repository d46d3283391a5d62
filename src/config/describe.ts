// The declarations as text: docs/configuration.md (written by `npm run docs`, compared by a test) and the part of `help`.

import { plain, printable, type Variable } from './variable.ts';
import { listVariables } from './variables.ts';

const INTRODUCTION = `# Configuration

<!-- Written by \`npm run docs\` from src/config/variables.ts. Do not edit. -->

Everything is configured by environment variables. Values are taken from, in this order, each overriding the ones before:

1. the file \`.env\` in the current directory,
2. the file \`dify-agent/.env\` in the current directory,
3. the real environment.

Names are matched without case. The files have the syntax of python-dotenv: comments, \`export\`, quotes, \`\${NAME}\` and \`\${NAME:-default}\`. Nothing in them changes the environment of the process. Variables that nothing reads are ignored; \`dify-agent check\` lists them.

A bad value stops the start: one line on standard error names the variable, and the exit code is 1. \`dify-agent check\` prints the effective configuration with secrets masked, says where each value came from, and probes the store, the plugin daemon and, where one is configured, shellctl.

| Variable | Default | Allowed | Meaning |
| --- | --- | --- | --- |
`;

const CONCLUSION = `
¹ A secret: never printed or logged.

Rules between variables:

- \`DIFY_AGENT_STUB_URL\` needs \`DIFY_AGENT_SERVER_SECRET_KEY\`.
- \`DIFY_AGENT_STUB_GRPC_BIND_ADDRESS\` needs a \`grpc://\` \`DIFY_AGENT_STUB_URL\` (or \`…_STUB_API_BASE_URL\`).
- \`DIFY_AGENT_DIFY_API_BASE_URL\` and \`DIFY_AGENT_DIFY_API_INNER_API_KEY\` are set together; so are \`DIFY_AGENT_TLS_CERT\` and \`…_KEY\`, and \`DIFY_AGENT_STUB_GRPC_TLS_CERT\` and \`…_KEY\`.
- An address that other machines can reach (\`DIFY_AGENT_HOST\`) needs \`DIFY_AGENT_API_TOKEN\`, or \`DIFY_AGENT_ALLOW_ANONYMOUS=true\`.
- \`DIFY_AGENT_API_TOKEN_PREVIOUS\` needs \`DIFY_AGENT_API_TOKEN\`; \`DIFY_AGENT_SERVER_SECRET_KEY_PREVIOUS\` needs \`DIFY_AGENT_SERVER_SECRET_KEY\`.
- \`DIFY_AGENT_MAX_PENDING_REQUEST_BYTES\` is at least \`DIFY_AGENT_MAX_REQUEST_BYTES\`.
- An empty numeric variable is an error, not its default. An empty \`true\`/\`false\` is one, too. Variables of OpenTelemetry (\`OTEL_*\`) are the exception: empty is unset, and while tracing is off nothing they say is an error.
`;

/** The whole of docs/configuration.md. */
export function configurationDocument(): string {
  return INTRODUCTION + listVariables().map(row).join('') + CONCLUSION;
}

function row(variable: Variable<unknown>): string {
  const mark = variable.secret ? ' ¹' : '';
  const fallback = printable({ secret: false, url: false }, variable.default).startsWith('(')
    ? 'none'
    : `\`${String(variable.default)}\``;
  const also = variable.aliases.map((alias) => ` Also read: \`${alias}\`.`).join('');
  return `| \`${variable.name}\`${mark} | ${fallback} | ${variable.allowed} | ${variable.description}${also} |\n`;
}

/** The variables for a terminal: name, default and meaning. */
export function configurationHelp(): string {
  return listVariables()
    .map((variable) => {
      const fallback = printable({ secret: false, url: false }, variable.default);
      return `  ${variable.name}  [${fallback}]\n      ${plain(variable.description)} (${plain(variable.allowed)})\n`;
    })
    .join('');
}
