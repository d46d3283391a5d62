// Snippets are run by what they are written for (a shell, Bun, Python, with curl, the client and httpx played by small
// stand-ins): what arrives is the document, whatever is in it.

import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { print } from '../../src/console/compose/document.ts';
import { plainOf, readJson } from '../../src/console/compose/reader.ts';
import { type Language, shellQuoted, snippet } from '../../src/console/compose/snippets.ts';

const HARD_TEXTS = [
  `it's "quoted" \\ and \`back\` $HOME $(id) %s !! #`,
  "'; rm -rf / #",
  'JSON',
  '\nJSON\nEOF\n',
  '\0\x01\x1f\x7f\t\r\n',
  '\u2028\u2029\u202e\ufeff\u00ad',
  '\u{e0041}😀👩‍💻 سلام é',
  '</script><!-- \x24{x} {x} {{x}} %(x)s',
  `"""''' r"" \\N{BULLET} \\x41 \\u0041 \\`,
  '',
];

const HARD = `{"composition":{"layers":[{"name":"a","type":"t","config":{"texts":${JSON.stringify(HARD_TEXTS)},${JSON.stringify(
  `k'"\\`,
)}:[true,false,null,[],{}],"class":1,"__proto__":{"x":1},"constructor":-2.5,"n":[0,-7,0.5,100.25]}}]}}`;
/** Not for Python's json, and not for JavaScript's numbers. */
const HARDER = `{"composition":{"layers":[{"half":"\\ud800","n":[1.0,-0,1e400,12345678901234567890,0.10000000000000000001,1E5,0.00001]}]}}`;

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'compose-snippets-'));
  mkdirSync(join(folder, 'bin'));
  // Prints its arguments and what it reads, each as a file.
  writeFileSync(join(folder, 'bin/curl'), '#!/bin/sh\nprintf "%s\\n" "$@" > "$OUT.args"\ncat > "$OUT"\n');
  chmodSync(join(folder, 'bin/curl'), 0o755);
  const module = join(folder, 'node_modules/dify-agent');
  mkdirSync(module, { recursive: true });
  writeFileSync(join(module, 'package.json'), '{"type":"module","exports":{"./client":"./client.js"}}');
  writeFileSync(
    join(module, 'client.js'),
    `import { writeFileSync } from 'node:fs';
export class Client {
  constructor(options) { this.options = options; }
  async runToCompletion(request) {
    writeFileSync(process.env.OUT, JSON.stringify(request));
    writeFileSync(process.env.OUT + '.args', JSON.stringify(this.options));
    return { type: 'run_succeeded', data: {} };
  }
}`,
  );
  // As httpx sends it: json.dumps without escapes, in UTF-8.
  writeFileSync(
    join(folder, 'httpx.py'),
    `import json, os
class Answer:
    def raise_for_status(self): pass
    def json(self): return {"run_id": "r"}
    def __enter__(self): return self
    def __exit__(self, *_): pass
    def iter_lines(self): return ["data"]
class Client:
    def __init__(self, base_url, headers={}): self.args = json.dumps([base_url, headers])
    def __enter__(self): return self
    def __exit__(self, *_): pass
    def post(self, path, json=None, content=None):
        body = dumps(json) if content is None else content.encode("utf-8")
        open(os.environ["OUT"], "wb").write(body)
        open(os.environ["OUT"] + ".args", "w").write(self.args)
        return Answer()
    def stream(self, method, path, timeout): return Answer()
def dumps(value): return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode("utf-8")
`,
  );
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const RUNNERS: Readonly<Record<Language, { readonly file: string; readonly command: readonly string[] }>> = {
  curl: { file: 'run.sh', command: ['sh'] },
  typescript: { file: 'run.ts', command: [process.execPath, 'run'] },
  python: { file: 'run.py', command: ['python3'] },
};

/** Runs a snippet of the document; what it would post, and to whom. */
function sent(language: Language, source: string, options: { hasToken?: boolean; baseUrl?: string } = {}) {
  const { root } = readJson(source);
  if (root === null) throw new Error('the test has no JSON');
  const { hasToken = false, baseUrl = 'http://127.0.0.1:8000' } = options;
  const { file, command } = RUNNERS[language];
  const path = join(folder, file);
  const text = snippet(language, { request: root, baseUrl, hasToken });
  writeFileSync(path, text);
  const out = join(folder, 'out');
  const { exitCode, stderr } = Bun.spawnSync([...command, path], {
    cwd: folder,
    env: {
      PATH: `${join(folder, 'bin')}:${process.env.PATH ?? ''}`,
      HOME: folder,
      PYTHONPATH: folder,
      OUT: out,
      DIFY_AGENT_API_TOKEN: 'tok-1',
    },
    stdout: 'ignore',
    stderr: 'pipe',
  });
  expect([stderr.toString(), exitCode]).toEqual(['', 0]);
  return { text, body: readFileSync(out, 'utf8'), args: readFileSync(`${out}.args`, 'utf8') };
}

/** The document as compact JSON with all its texts of numbers. */
const compact = (source: string): string => {
  const { root } = readJson(source);
  return root === null ? '' : JSON.stringify(plainOf(root));
};

describe.each(['curl', 'typescript', 'python'] as const)('%s', (language) => {
  test('sends what is in the document, whatever that is', () => {
    const { body, text } = sent(language, HARD);
    expect(compact(body)).toBe(compact(HARD));
    // Nothing in it is hidden or turns its surroundings round.
    expect(text).not.toMatch(/[\u2028\u202e\ufeff\x7f]|\u{e0041}/u);
  }, 20_000);

  test('keeps numbers and halves of pairs that its language would change', () => {
    expect(compact(sent(language, HARDER).body)).toBe(compact(HARDER));
  }, 20_000);

  test('takes the token from the environment, and an address with quotes', () => {
    const baseUrl = `http://h/a'b"c`;
    const { text, args } = sent(language, '{"composition":{"layers":[]}}', { hasToken: true, baseUrl });
    expect(args).toContain('tok-1');
    expect(args.replaceAll('\\"', '"')).toContain(baseUrl);
    expect(text).not.toContain('tok-1');
  }, 20_000);
});

test('snippets are what one would write', () => {
  const { root } = readJson('{"composition":{"layers":[{"name":"a","ok":true,"n":null,"two words":[1,"x"]}]}}');
  if (root === null) throw new Error('the test has no JSON');
  const input = { request: root, baseUrl: 'http://h', hasToken: false };
  expect(snippet('typescript', input)).toContain(
    'runToCompletion({\n  composition: {\n    layers: [\n      {\n        name: "a",\n        ok: true,\n        n: null,\n        "two words": [\n',
  );
  expect(snippet('python', input)).toContain('"ok": True,\n                "n": None,\n');
  expect(snippet('curl', input)).toContain(`--data-binary @- <<'JSON'\n${print(root)}\nJSON\n`);
  expect(shellQuoted("it's")).toBe("'it'\\''s'");
});
