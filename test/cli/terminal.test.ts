// `run`, `watch` and `cancel` of the compiled binary on a real terminal (a pty), and beside one: what a person sees and types, what a
// pipe gets. What is printed for which event: run.test.ts.

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'bun:test';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cancelled, frame, record, started, succeeded } from '../client/events.ts';
import { json, openStream, type RawServer, startRawServer, stream } from '../client/raw-server.ts';
import { ensureBinary } from '../support/binary.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { until, within } from '../support/until.ts';

let binary: string;
let real: TestServer;
let raw: RawServer;
let folder: string;

beforeAll(async () => {
  binary = await ensureBinary();
  real = await startServer();
}, 180_000);
afterAll(() => real?.dispose());
beforeEach(async () => {
  raw = await startRawServer();
  folder = mkdtempSync(join(tmpdir(), 'dify-agent-terminal-'));
  writeFileSync(join(folder, 'run.json'), '{"composition":{"layers":[]}}');
});
afterEach(async () => {
  await raw.close();
  rmSync(folder, { recursive: true, force: true });
});

interface TerminalOptions {
  readonly url?: string;
  readonly columns?: number;
  readonly env?: Readonly<Record<string, string>>;
}

const environment = ({ url = raw.url, env = {} }: TerminalOptions) => ({
  PATH: process.env.PATH ?? '',
  HOME: folder,
  TERM: 'xterm-256color',
  DIFY_AGENT_URL: url,
  ...env,
});

/** A command on a terminal. */
function terminal(command: readonly string[], options: TerminalOptions = {}) {
  const decoder = new TextDecoder();
  let screen = '';
  const child = Bun.spawn([...command], {
    cwd: folder,
    env: environment(options),
    terminal: {
      cols: options.columns ?? 80,
      rows: 24,
      data: (_, bytes) => {
        screen += decoder.decode(bytes, { stream: true });
      },
    },
  });
  return {
    /** All bytes that came, as text. */
    screen: () => screen,
    type: (text: string) => void child.terminal?.write(text),
    /** Waits for a text to appear after what was seen before. */
    async sees(text: string): Promise<void> {
      await until(`${JSON.stringify(text)} on the terminal, which has ${JSON.stringify(screen)}`, () =>
        screen.includes(text),
      );
    },
    async end(): Promise<number> {
      const code = await within(`the end of ${command.join(' ')}: ${JSON.stringify(screen)}`, child.exited, 20_000);
      child.terminal?.close();
      return code;
    },
    kill: () => child.kill('SIGKILL'),
  };
}

/** The same without a terminal. */
async function piped(command: readonly string[], options: TerminalOptions = {}) {
  const child = Bun.spawn([...command], { cwd: folder, env: environment(options), stdout: 'pipe', stderr: 'pipe' });
  const texts = Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text(), child.exited]);
  const [stdout, stderr, code] = await within(`the end of ${command.join(' ')}`, texts, 20_000);
  return { stdout, stderr, code };
}

/** What a person reads: without colours, and without what readline does to edit a line. */
const read = (screen: string): string => screen.replaceAll(/\u001b\[[0-9;]*[A-Za-z]/g, '').replaceAll('\r\n', '\n');

const created = json(202, { run_id: 'run-1', status: 'running' });
const agent = (id: string, data: object) => frame(id, 'pydantic_ai_event', data);
const said = (id: string, content: string) =>
  agent(id, { event_kind: 'part_start', index: 0, part: { part_kind: 'text', content } });
const called = (id: string, tool_name: string, args: unknown) =>
  agent(id, { event_kind: 'function_tool_call', part: { part_kind: 'tool-call', tool_name, tool_call_id: 'c', args } });
const returned = (id: string, tool_name: string, content: unknown) =>
  agent(id, {
    event_kind: 'function_tool_result',
    result: { part_kind: 'tool-return', tool_name, tool_call_id: 'c', content },
  });
const asking = frame('9-0', 'run_succeeded', {
  session_snapshot: { schema_version: 1, layers: [] },
  deferred_tool_call: {
    tool_call_id: 'call_1',
    tool_name: 'ask_human',
    metadata: {},
    args: {
      question: 'May I deploy?',
      fields: [{ type: 'paragraph', name: 'why', label: 'Why' }],
      actions: [
        { id: 'yes', label: 'Go ahead' },
        { id: 'no', label: 'Stop' },
      ],
    },
  },
});
const run = () => [binary, 'run', 'run.json'];
/** A run of the real server that takes as long as somebody lets it. */
const endless = (text: string) => ({
  composition: {
    layers: [
      { name: 'prompt', type: 'plain.prompt', config: { user: 'Wait.' } },
      { name: 'llm', type: 'test.scripted_llm', config: { turns: [{ items: [{ text }, { delay_ms: 600_000 }] }] } },
    ],
  },
});

describe('a question', () => {
  test('is asked on the spot, answered, and the agent goes on', async () => {
    raw.answer(
      created,
      stream(asking),
      json(202, { run_id: 'run-2', status: 'running' }),
      stream(succeeded('1-0', 'Done.')),
    );
    const shown = terminal(run());
    await shown.sees('Why: ');
    shown.type('all is gref\u007fen\r');
    await shown.sees('2) Stop');
    await shown.sees('> ');
    shown.type('1\r');
    expect(await shown.end()).toBe(0);
    expect(read(shown.screen())).toContain('May I deploy?');
    expect(read(shown.screen())).toEndWith('Done.\n');
    const { calls } = JSON.parse(raw.requests[2]?.body ?? '').deferred_tool_results;
    expect(calls.call_1).toMatchObject({ action: { id: 'yes' }, values: { why: 'all is green' } });
  });

  test.each([
    ['Ctrl-D', '\u0004'],
    ['Ctrl-C', '\u0003'],
  ])('%s leaves it open: exit code 4, said on one line, and the terminal is as it was', async (_, key) => {
    raw.answer(created, stream(asking));
    const shown = terminal(['sh', '-c', '"$0" "$@"; echo "code $?"; stty -a', ...run()]);
    await shown.sees('Why: ');
    shown.type(key);
    await shown.end();
    expect(read(shown.screen())).toContain('the question is open');
    expect(shown.screen()).toContain('code 4');
    expect(shown.screen()).toMatch(/[^-]icanon/);
    expect(shown.screen()).toMatch(/[^-]\becho\b/);
    expect(raw.requests).toHaveLength(2);
  });
});

describe('tool calls', () => {
  test.each([40, 24])(
    'are folded to one line of a terminal of %d columns, wide characters counted twice',
    async (columns) => {
      const wide = '長い引数'.repeat(20);
      raw.answer(
        created,
        stream(
          called('1-0', 'look', { for: wide }),
          returned('1-1', 'look', wide),
          called('1-2', 'n'.repeat(90), '{}'),
          succeeded('2-0', 'ok'),
        ),
      );
      const shown = terminal(run(), { columns });
      expect(await shown.end()).toBe(0);
      const lines = read(shown.screen()).split('\n');
      const tools = lines.filter((line) => /^[→←]/.test(line));
      expect(tools).toHaveLength(3);
      for (const line of tools) {
        expect(Bun.stringWidth(line)).toBeLessThanOrEqual(columns);
        expect(line).toEndWith('…');
      }
      expect(lines).toContain('ok');
    },
  );

  test('cannot pass for other lines', async () => {
    raw.answer(
      created,
      stream(called('1-0', 'a\n← b', 'x\ny'), returned('1-1', 'c\r\n→ d', 'z'), succeeded('2-0', 'ok')),
    );
    const { stdout } = await piped(run());
    expect(stdout).toBe('→ a ← b x y\n← c → d z\nok\n');
  });
});

describe('colours', () => {
  const answer = () => raw.answer(created, stream(called('1-0', 'look', '{}'), succeeded('2-0', 'ok')));

  test('are for terminals', async () => {
    answer();
    const shown = terminal(run());
    expect(await shown.end()).toBe(0);
    expect(shown.screen()).toContain('\u001b[36m→ look {}\u001b[0m');
  });

  test.each([[{ NO_COLOR: '1' }], [{ TERM: 'dumb' }]])('are not wanted: %j', async (env) => {
    answer();
    const shown = terminal(run(), { env });
    expect(await shown.end()).toBe(0);
    expect(shown.screen()).not.toContain('\u001b');
  });

  test('are not in pipes, whatever the environment says', async () => {
    answer();
    const { stdout, stderr } = await piped(run(), { env: { FORCE_COLOR: '1', CLICOLOR_FORCE: '1' } });
    expect(stdout).toBe('→ look {}\nok\n');
    expect(stderr).toBe('run run-1\n');
  });
});

test('what a model writes cannot act on the terminal', async () => {
  const evil =
    '\u001b]0;title\u0007\u001b[2J\u001b[31mred\u009b1m\u001b]8;;http://evil\u001b\\link\u202edesrever\u0008\u0008';
  raw.answer(
    created,
    stream(said('1-0', evil), called('1-1', evil, evil), returned('1-2', evil, evil), succeeded('2-0', { evil })),
  );
  const shown = terminal(run());
  expect(await shown.end()).toBe(0);
  // Our own colours and nothing else.
  expect(shown.screen().replaceAll(/\u001b\[(0|36|90)m/g, '')).not.toMatch(
    /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u202e]/,
  );
});

test('--json on a terminal: one event a line, no colour, and the question is not asked', async () => {
  raw.answer(created, stream(started('1-0'), asking));
  const shown = terminal([...run(), '--json']);
  expect(await shown.end()).toBe(4);
  expect(shown.screen()).not.toContain('\u001b');
  const lines = shown.screen().trim().split('\r\n');
  expect(lines.map((line) => JSON.parse(line).type)).toEqual(['run_started', 'run_succeeded']);
});

describe('Ctrl-C', () => {
  test('once cancels the run, shows its end, and is exit code 3', async () => {
    writeFileSync(join(folder, 'run.json'), JSON.stringify(endless('Working on it')));
    const shown = terminal(run(), { url: real.url });
    await shown.sees('Working on it');
    shown.type('\u0003');
    expect(await shown.end()).toBe(3);
    expect(read(shown.screen())).toContain('cancelled (user_cancelled)');
    const runId = /run ([0-9a-f-]{36})/.exec(shown.screen())?.[1];
    const { code, stdout } = await piped([binary, 'watch', runId ?? ''], { url: real.url });
    expect({ code, stdout }).toEqual({ code: 3, stdout: 'Working on it\ncancelled (user_cancelled)\n' });
  });

  test('twice leaves, though the server does not answer: exit code 130', async () => {
    raw.answer(created, openStream(started('1-0'), said('1-1', 'Busy')), () => {});
    const shown = terminal(run());
    await shown.sees('Busy');
    shown.type('\u0003');
    await until('the cancel', () => raw.requests.length === 3);
    shown.type('\u0003');
    expect(await shown.end()).toBe(130);
  });

  test('leaves a run that is watched, which goes on', async () => {
    const answer = await fetch(`${real.url}/runs`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(endless('Still here')),
      proxy: false,
    } as RequestInit); // `proxy` is Bun's own
    const { run_id: runId } = (await answer.json()) as { readonly run_id: string };
    const shown = terminal([binary, 'watch', runId], { url: real.url });
    await shown.sees('Still here');
    shown.type('\u0003');
    expect(await shown.end()).toBe(130);
    const { code, stdout } = await piped([binary, 'cancel', runId, '--reason', 'over'], { url: real.url });
    expect({ code, stdout }).toEqual({ code: 0, stdout: 'cancelled (over)\n' });
  });
});

describe('a server that is not there', () => {
  test.each([
    ['watch', 'some-run'],
    ['cancel', 'some-run'],
    ['run', 'run.json'],
  ])('%s %s: one line, exit code 1, no second try', async (command, word) => {
    await raw.close();
    const { code, stdout, stderr } = await piped([binary, command, word]);
    expect({ code, stdout, lines: stderr.trimEnd().split('\n').length }).toEqual({ code: 1, stdout: '', lines: 1 });
    expect(stderr).toContain(`request failed: `);
    expect(stderr).toEndWith(`(${raw.url})\n`);
    raw = await startRawServer();
  });

  test('watch of a run that is unknown: one line, no stream is opened', async () => {
    raw.answer(json(404, { detail: 'run not found' }));
    const { code, stderr } = await piped([binary, 'watch', 'nope']);
    expect({ code, stderr }).toEqual({ code: 1, stderr: 'Dify Agent HTTP 404: run not found\n' });
    expect(raw.requests.map(({ path }) => path)).toEqual(['/runs/nope']);
  });
});

test('a reader that goes away (| head) does no harm', async () => {
  raw.answer(json(200, record('running')), stream(said('1-0', 'one\ntwo\n'), cancelled('2-0')));
  const { code, stdout } = await piped(['sh', '-c', '"$0" watch run-1 | head -n 1', binary]);
  expect({ code, stdout }).toEqual({ code: 0, stdout: 'one\n' });
});
