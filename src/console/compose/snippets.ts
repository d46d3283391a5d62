// The same request for a terminal and for programs: curl, TypeScript (dify-agent/client) and Python (httpx). Every text is
// written so that its language reads back exactly what is in the document; secrets are placeholders in it already.

import { type Node, print, quoted } from './document.ts';

/** What a snippet is made of. */
export interface SnippetInput {
  /** The whole request. */
  readonly request: Node;
  /** Without `/` at its end. */
  readonly baseUrl: string;
  /** The server asks for a token: snippets take it from the environment. */
  readonly hasToken: boolean;
}

export type Language = 'curl' | 'typescript' | 'python';

export const LANGUAGES: readonly (readonly [language: Language, name: string])[] = [
  ['curl', 'curl'],
  ['typescript', 'TypeScript'],
  ['python', 'Python'],
];

export function snippet(language: Language, input: SnippetInput): string {
  return { curl, typescript, python }[language](input);
}

/** The environment variable of the token. */
const TOKEN = 'DIFY_AGENT_API_TOKEN';

function curl({ request, baseUrl, hasToken }: SnippetInput): string {
  // JSON has no raw line feeds in texts: no line of it but the last can be the delimiter, and nothing is expanded before it.
  const lines = [
    `curl -sS ${shellQuoted(`${baseUrl}/runs`)} \\`,
    ...(hasToken ? [`  -H "authorization: Bearer $${TOKEN}" \\`] : []),
    `  -H 'content-type: application/json' \\`,
    `  --data-binary @- <<'JSON'`,
    print(request),
    'JSON',
    '',
    '# then, with the run_id of the answer:',
    `# curl -sSN ${hasToken ? `-H "authorization: Bearer $${TOKEN}" ` : ''}${shellQuoted(`${baseUrl}/runs/RUN_ID/events/sse`)}`,
  ];
  return `${lines.join('\n')}\n`;
}

/** One word of a POSIX shell. */
export function shellQuoted(value: string): string {
  return `'${value.replaceAll("'", "'\\''")}'`;
}

function typescript({ request, baseUrl, hasToken }: SnippetInput): string {
  const needsRaw = numbersOf(request).some((written) => String(Number(written)) !== written);
  const options = [`baseUrl: ${quoted(baseUrl)}`, ...(hasToken ? [`token: process.env.${TOKEN} ?? ''`] : [])];
  const lines = [
    `import { Client } from 'dify-agent/client';`,
    '',
    ...(needsRaw
      ? [
          '// JavaScript would change these numbers: they keep their text.',
          'const { rawJSON } = JSON as unknown as { rawJSON(text: string): number };',
          '',
        ]
      : []),
    `const client = new Client({ ${options.join(', ')} });`,
    `const end = await client.runToCompletion(${literal(request, TYPESCRIPT)});`,
    `console.log(end.type === 'run_succeeded' ? end.data : end);`,
  ];
  return `${lines.join('\n')}\n`;
}

function python({ request, baseUrl, hasToken }: SnippetInput): string {
  const isPlain = fitsPython(request);
  const body = isPlain
    ? [`request = ${literal(request, PYTHON)}`]
    : [
        '# As text: Python would change some of its numbers or characters.',
        `request = (\n${pythonLines(print(request))}\n)`,
      ];
  const headers = [
    ...(isPlain ? [] : ['"content-type": "application/json"']),
    ...(hasToken ? [`"authorization": f"Bearer {os.environ['${TOKEN}']}"`] : []),
  ];
  const options = headers.length === 0 ? '' : `, headers={${headers.join(', ')}}`;
  const lines = [
    ...(hasToken ? ['import os', ''] : []),
    'import httpx',
    '',
    ...body,
    '',
    `with httpx.Client(base_url=${pythonText(baseUrl)}${options}) as client:`,
    `    answer = client.post("/runs", ${isPlain ? 'json=request' : 'content=request'})`,
    '    answer.raise_for_status()',
    '    run_id = answer.json()["run_id"]',
    '    with client.stream("GET", f"/runs/{run_id}/events/sse", timeout=None) as events:',
    '        for line in events.iter_lines():',
    '            print(line)',
  ];
  return `${lines.join('\n')}\n`;
}

/** How a language writes a tree. */
interface Notation {
  text(value: string): string;
  number(written: string): string;
  readonly words: Readonly<Record<'true' | 'false' | 'null', string>>;
  key(name: string): string;
}

const TYPESCRIPT: Notation = {
  text: quoted,
  number: (written) => (String(Number(written)) === written ? written : `rawJSON('${written}')`),
  words: { true: 'true', false: 'false', null: 'null' },
  // As a plain key it would set the prototype.
  key: (name) => (name === '__proto__' ? '["__proto__"]' : /^[A-Za-z_$][\w$]*$/.test(name) ? name : quoted(name)),
};

const PYTHON: Notation = {
  text: pythonText,
  number: (written) => written,
  words: { true: 'True', false: 'False', null: 'None' },
  key: pythonText,
};

/** Lists and objects go over lines, with a comma behind each part, as formatters of both languages have it. */
function literal(node: Node, notation: Notation, indent = ''): string {
  if (node.kind === 'text') return notation.text(node.value);
  if (node.kind === 'number') return notation.number(node.text);
  if (node.kind === 'word') return notation.words[`${node.value}`];
  const inner = indent + (notation === PYTHON ? '    ' : '  ');
  const parts =
    node.kind === 'list'
      ? node.items.map((item) => literal(item, notation, inner))
      : node.members.map(({ key, value }) => `${notation.key(key)}: ${literal(value, notation, inner)}`);
  const [open, close] = node.kind === 'list' ? ['[', ']'] : ['{', '}'];
  if (parts.length === 0) return open + close;
  return `${open}\n${parts.map((part) => `${inner}${part},\n`).join('')}${indent}${close}`;
}

/** JSON's escapes are Python's, but for characters beyond U+FFFF: a pair of escapes is no character there. */
function pythonText(value: string): string {
  return quoted(value, (character) => {
    const code = (character.codePointAt(0) ?? 0).toString(16);
    return code.length > 4 ? `\\U${code.padStart(8, '0')}` : `\\u${code.padStart(4, '0')}`;
  });
}

/** Whether `json=` sends the same: Python prints numbers its own way, and cannot encode halves of surrogate pairs. */
function fitsPython(node: Node): boolean {
  if (node.kind === 'text') return node.value.isWellFormed();
  if (node.kind === 'number') return isPythonNumber(node.text);
  if (node.kind === 'list') return node.items.every(fitsPython);
  if (node.kind === 'object') return node.members.every(({ key, value }) => key.isWellFormed() && fitsPython(value));
  return true;
}

/** Integers have no bounds there; of the rest what has few digits, no exponent and no end in zeros comes back as it is. */
function isPythonNumber(written: string): boolean {
  if (/^-?[1-9]\d{0,3999}$|^0$/.test(written)) return true;
  return (
    written.replace(/\D/g, '').length <= 15 && /^-?(?:0|[1-9]\d*)\.(?:0|\d*[1-9])$/.test(written) && !isTiny(written)
  );
}

/** Below this Python writes an exponent. */
function isTiny(written: string): boolean {
  const size = Math.abs(Number(written));
  return size < 1e-4 && size !== 0;
}

/** A text as lines of literals that stand side by side. */
function pythonLines(value: string): string {
  const lines = value.split('\n');
  return lines.map((line, index) => `    ${pythonText(index < lines.length - 1 ? `${line}\n` : line)}`).join('\n');
}

function numbersOf(node: Node): readonly string[] {
  if (node.kind === 'number') return [node.text];
  if (node.kind === 'list') return node.items.flatMap(numbersOf);
  return node.kind === 'object' ? node.members.flatMap(({ value }) => numbersOf(value)) : [];
}
