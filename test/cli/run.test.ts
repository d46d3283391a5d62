// `run`, `watch` and `cancel` in this process, against a scripted server: what is printed, what is asked, the exit codes.

import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runCommand } from '../../src/cli/commands.ts';
import { cancelled, event, failed, frame, record, started, succeeded } from '../client/events.ts';
import { json, openStream, type RawServer, startRawServer, stream } from '../client/raw-server.ts';
import { until, within } from '../support/until.ts';
import { type FakeIo, fakeIo } from './support.ts';

let server: RawServer;
let folder: string;

beforeEach(async () => {
  server = await startRawServer();
  folder = mkdtempSync(join(tmpdir(), 'dify-agent-run-'));
  writeFileSync(join(folder, 'run.json'), REQUEST);
});
afterEach(async () => {
  await server.close();
  rmSync(folder, { recursive: true, force: true });
});

const REQUEST = '{"composition":{"layers":[]},"metadata":{"n":12345678901234567890,"f":1.0},"idempotency_key":"k"}';
const created = json(202, { run_id: 'run-1', status: 'running' });
/** What `watch` asks for first. */
const known = json(200, record('running'));
const accepted = json(200, { run_id: 'run-1', status: 'cancelled' });

function ioOf(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
  ...answers: (string | null)[]
): FakeIo {
  const asked: string[] = [];
  return {
    ...fakeIo(args, { DIFY_AGENT_URL: server.url, ...env }, folder),
    ask:
      answers.length === 0
        ? null
        : (prompt) => {
            asked.push(prompt);
            if (asked.length > answers.length) throw new Error(`asked once more: ${prompt}`);
            return Promise.resolve(answers[asked.length - 1] ?? null);
          },
  };
}

async function command(io: FakeIo) {
  const code = await within('the command', runCommand(io));
  return { code, printed: io.printed(), complaints: io.complaints };
}

const agent = (id: string, data: object) => frame(id, 'pydantic_ai_event', data);
const said = (id: string, content: string, part_kind = 'text', index = 0) =>
  agent(id, { event_kind: 'part_start', index, part: { part_kind, content } });
const more = (id: string, content_delta: string, part_delta_kind = 'text') =>
  agent(id, { event_kind: 'part_delta', index: 0, delta: { part_delta_kind, content_delta } });
const call = (id: string, args: unknown) =>
  agent(id, {
    event_kind: 'function_tool_call',
    part: { part_kind: 'tool-call', tool_name: 'look', tool_call_id: 'c', args },
  });
const result = (id: string, content: unknown, part_kind = 'tool-return') =>
  agent(id, {
    event_kind: 'function_tool_result',
    result: { part_kind, tool_name: 'look', tool_call_id: 'c', content },
  });

describe('a run', () => {
  test('shows thinking, text as it comes, tool calls on one line each', async () => {
    server.answer(
      created,
      stream(
        started('1-0'),
        said('1-1', 'hm', 'thinking'),
        more('1-2', 'm', 'thinking'),
        said('1-3', 'One ', 'text', 1),
        more('1-4', 'moment.\nOr two.'),
        call('2-0', '{"for":\n  "x"}'),
        result('2-1', 'no such thing', 'retry-prompt'),
        call('2-2', { for: 'y'.repeat(300) }),
        result('2-3', { found: 1 }),
        said('3-0', 'There.'),
        succeeded('4-0', 'There.'),
      ),
    );
    const { code, printed, complaints } = await command(ioOf(['run', 'run.json']));
    expect(printed).toBe(
      [
        'hmm',
        'One moment.',
        'Or two.',
        '→ look {"for": "x"}',
        '← look to be called again: no such thing',
        `→ look ${`{"for":"${'y'.repeat(300)}`.slice(0, 160)}…`,
        '← look {"found":1}',
        'There.',
        '',
      ].join('\n'),
    );
    expect({ code, complaints }).toEqual({ code: 0, complaints: ['run run-1'] });
  });

  test('is posted with its numbers as they were written', async () => {
    server.answer(created, stream(succeeded('1-0')));
    await command(ioOf(['run', 'run.json']));
    expect(server.requests[0]?.body).toBe(REQUEST);
  });

  test('comes from standard input', async () => {
    server.answer(created, stream(succeeded('1-0')));
    const io = { ...ioOf(['run', '-']), readInput: () => Promise.resolve('{"composition":{"layers":[]}}') };
    expect((await command(io)).code).toBe(0);
    expect(server.requests[0]?.body).toBe('{"composition":{"layers":[]}}');
  });

  test('whose answer did not come as text shows it at the end', async () => {
    server.answer(
      created,
      stream(said('1-0', 'Let me see.'), call('1-1', '{}'), result('1-2', 1), succeeded('2-0', 'Seen.')),
    );
    expect((await command(ioOf(['run', 'run.json']))).printed).toEndWith('Seen.\n');
    server.answer(created, stream(succeeded('2-0', { a: [1] })));
    expect((await command(ioOf(['run', 'run.json']))).printed).toBe('{\n  "a": [\n    1\n  ]\n}\n');
  });

  test.each([
    ['failed', failed('1-0'), 1, 'failed: it broke\n'],
    ['cancelled', cancelled('1-0'), 3, 'cancelled (user_cancelled)\n'],
  ])('that is %s', async (_, end, code, text) => {
    server.answer(created, stream(end));
    expect(await command(ioOf(['run', 'run.json']))).toMatchObject({ code, printed: text });
  });

  test('with --json is one event per line, exact, and nothing else', async () => {
    const big = event('1-0', 'run_succeeded', {
      session_snapshot: { schema_version: 1, layers: [] },
      output: 0,
    }).replace('"output":0', '"output":{"n":12345678901234567890,"f":1.0,"e":"\u009b31m\u2028\u007f"}');
    server.answer(created, stream(started('0-1'), `data: ${big}\n\n`));
    const { code, printed, complaints } = await command(ioOf(['run', 'run.json', '--json']));
    const [first, second, ...rest] = printed.split('\n');
    expect(first).toBe(event('0-1', 'run_started'));
    expect(second).toContain('"n":12345678901234567890,"f":1.0,"e":"\\u009b31m\\u2028\\u007f"');
    expect(JSON.parse(second ?? '')).toEqual(JSON.parse(big));
    expect({ rest, code, complaints }).toEqual({ rest: [''], code: 0, complaints: [] });
  });
});

describe('what models and servers write', () => {
  const evil = 'a\u001b[2Jb\u0007\u009b31mc\u0000\u202ed\u2066\r\ne\rf\u007f\tg';
  const harmless = /^[^\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]*$/;

  test('cannot move the cursor, in texts, calls, results, errors, outputs and questions', async () => {
    const question = {
      tool_call_id: 'c',
      tool_name: evil,
      args: { title: evil, question: evil, markdown: evil, fields: [{ type: 'file', name: 'f', label: evil }] },
      metadata: {},
    };
    const ends = [
      succeeded('9-0', { [evil]: evil }),
      frame('9-0', 'run_failed', { error: evil, reason: evil }),
      frame('9-0', 'run_cancelled', { reason: evil, message: evil }),
      frame('9-0', 'run_succeeded', {
        session_snapshot: { schema_version: 1, layers: [] },
        deferred_tool_call: question,
      }),
    ];
    for (const end of ends) {
      server.answer(
        json(202, { run_id: evil, status: 'running' }),
        stream(
          said('1-0', evil),
          more('1-1', evil),
          said('1-2', evil, 'thinking'),
          call('2-0', evil),
          result('2-1', evil),
          end,
        ),
      );
      const { printed, complaints } = await command(ioOf(['run', 'run.json']));
      expect(printed).toMatch(harmless);
      expect(complaints.join('')).toMatch(harmless);
    }
    server.answer(json(500, { detail: evil }));
    expect((await command(ioOf(['run', 'run.json']))).complaints.join('')).toMatch(harmless);
  });

  test('keeps line breaks and tabs; CRLF is a line break', async () => {
    server.answer(created, stream(said('1-0', 'a\r\nb\tc'), succeeded('2-0')));
    expect((await command(ioOf(['run', 'run.json']))).printed).toBe('a\nb\tc\n');
  });
});

describe('a question', () => {
  const asking = (args: object, id = '1-0') =>
    frame(id, 'run_succeeded', {
      session_snapshot: {
        schema_version: 1,
        layers: [{ name: 'llm', lifecycle_state: 'suspended', runtime_state: {} }],
      },
      deferred_tool_call: { tool_call_id: '__proto__', tool_name: 'ask_human', args, metadata: {} },
    });
  const FORM = {
    title: 'Deploy?',
    question: 'May I?',
    fields: [
      { type: 'paragraph', name: 'why', label: 'Why', required: true },
      { type: 'paragraph', name: '__proto__', label: 'Note', default: 'none' },
      {
        type: 'select',
        name: 'where',
        label: 'Where',
        options: [
          { value: 'p', label: 'prod' },
          { value: 's', label: 'stage' },
        ],
        default: 's',
      },
    ],
    actions: [
      { id: 'yes', label: 'Yes' },
      { id: 'no', label: 'No' },
    ],
  };

  test('is asked on the spot, and the agent goes on with the answer', async () => {
    server.answer(
      created,
      stream(asking(FORM)),
      json(202, { run_id: 'run-2', status: 'running' }),
      stream(succeeded('2-0', 'ok')),
    );
    const { code, printed, complaints } = await command(
      ioOf(['run', 'run.json'], {}, ' ', 'because', '', '7', 'prod', '1'),
    );
    expect(printed).toContain('Deploy?\n\nMay I?\n');
    expect({ code, complaints }).toEqual({ code: 0, complaints: ['run run-1', 'run run-2'] });
    const { idempotency_key, metadata, session_snapshot, deferred_tool_results } = JSON.parse(
      server.requests[2]?.body ?? '',
    );
    expect(idempotency_key).toBeUndefined();
    expect(metadata.f).toBe(1);
    expect(server.requests[2]?.body).toContain('"n":12345678901234567890,"f":1.0');
    expect(session_snapshot.layers[0].name).toBe('llm');
    expect(Object.entries(deferred_tool_results.calls)).toEqual([
      [
        '__proto__',
        {
          status: 'submitted',
          action: { id: 'yes', label: 'Yes' },
          values: JSON.parse('{"why":"because","__proto__":"none","where":"p"}'),
          rendered_content: '## Deploy?\n\nMay I?',
        },
      ],
    ]);
  });

  test('without buttons is submitted, with an empty line for a default and for nothing', async () => {
    const fields = [
      { ...FORM.fields[2] },
      { type: 'select', name: 'other', label: 'Other', options: [{ value: '1' }] },
      { type: 'paragraph', name: 'free', label: 'Free' },
    ];
    server.answer(created, stream(asking({ question: '?', fields })), created, stream(succeeded('2-0')));
    expect((await command(ioOf(['run', 'run.json'], {}, '', '', ''))).code).toBe(0);
    const { calls } = JSON.parse(server.requests[2]?.body ?? '').deferred_tool_results;
    expect(Object.values(calls)[0]).toMatchObject({
      action: { id: 'submit', label: 'Submit' },
      values: { where: 's' },
      rendered_content: '?',
    });
  });

  test('with a single button and nothing else is not answered by itself', async () => {
    const args = { question: 'May I?', actions: [{ id: 'go', label: 'Go' }] };
    server.answer(created, stream(asking(args)));
    expect((await command(ioOf(['run', 'run.json'], {}, null))).code).toBe(4);
    server.answer(created, stream(asking(args)), created, stream(succeeded('2-0')));
    expect((await command(ioOf(['run', 'run.json'], {}, ''))).code).toBe(0);
  });

  test('stays open when the input ends, with exit code 4', async () => {
    server.answer(created, stream(asking(FORM)));
    expect((await command(ioOf(['run', 'run.json'], {}, 'because', null))).code).toBe(4);
  });

  test.each([
    ['files', { question: '?', fields: [{ type: 'file', name: 'f', label: 'F' }] }],
    [
      'a choice from nothing',
      { question: '?', fields: [{ type: 'select', name: 'f', label: 'F', required: true, options: [] }] },
    ],
  ])('that cannot be typed stays open: %s', async (_, args) => {
    server.answer(created, stream(asking(args)));
    const { code, complaints } = await command(ioOf(['run', 'run.json'], {}, 'never asked'));
    expect(code).toBe(4);
    expect(complaints.at(-1)).toContain('the question is open');
  });

  test.each([
    ['without a terminal', ['run', 'run.json'], []],
    ['with the request from standard input', ['run', '-'], ['never asked']],
    ['with --json', ['run', 'run.json', '--json'], ['never asked']],
    ['when watching', ['watch', 'run-1'], ['never asked']],
  ])('is not asked %s', async (_, args, answers) => {
    server.answer(args[0] === 'run' ? created : known, stream(asking(FORM)));
    const io = { ...ioOf(args, {}, ...answers), readInput: () => Promise.resolve('{"composition":{"layers":[]}}') };
    const { code, printed } = await command(io);
    expect(code).toBe(4);
    expect(printed).toContain('May I?');
  });

  test('a call of another tool is shown as it is, and stays open', async () => {
    server.answer(created, stream(asking({ query: 'x\u001b[2J' })));
    const { code, printed } = await command(ioOf(['run', 'run.json'], {}, 'never asked'));
    expect(code).toBe(4);
    expect(printed).toContain('{"query":"x\\u001b[2J"}');
  });

  test('of any shape is no crash', async () => {
    for (const args of [null, 'text', [], { fields: 'x', actions: 7 }, { fields: [null, 1, {}], actions: [null] }]) {
      server.answer(created, stream(asking(args as object)));
      expect((await command(ioOf(['run', 'run.json'], {}, null))).code).toBe(4);
    }
  });
});

describe('Ctrl-C', () => {
  test('cancels the run, and its end is shown', async () => {
    const io = ioOf(['run', 'run.json']);
    const asked = Promise.withResolvers<void>();
    server.answer(
      created,
      async (connection) => {
        await openStream(started('1-0'))(connection, { method: '', path: '', headers: {}, body: '' });
        io.events.emit('SIGINT');
        await asked.promise;
        await connection.write(cancelled('2-0'));
      },
      async (connection, request) => {
        await accepted(connection, request);
        asked.resolve();
      },
    );
    expect(await command(io)).toMatchObject({ code: 3, printed: 'cancelled (user_cancelled)\n' });
    expect(server.requests[2]).toMatchObject({
      path: '/runs/run-1/cancel',
      body: '{"reason":"user_cancelled","message":null}',
    });
    expect(io.events.listenerCount('SIGINT')).toBe(0);
  });

  test('while the run is being created cancels it as soon as it has an id', async () => {
    const io = ioOf(['run', 'run.json']);
    server.answer(
      async (connection, request) => {
        io.events.emit('SIGINT');
        await created(connection, request);
      },
      // The cancel and the stream come at once, in either order.
      (connection, request) => (request.method === 'POST' ? accepted : stream(cancelled('1-0')))(connection, request),
      (connection, request) => (request.method === 'POST' ? accepted : stream(cancelled('1-0')))(connection, request),
    );
    expect((await command(io)).code).toBe(3);
    expect(server.requests.map(({ path }) => path)).toContain('/runs/run-1/cancel');
  });

  test('twice leaves', async () => {
    const io = ioOf(['run', 'run.json']);
    server.answer(created, openStream(started('1-0')), () => {});
    const running = command(io);
    await until('the stream', () => server.requests.length === 2);
    io.events.emit('SIGINT');
    io.events.emit('SIGINT');
    expect((await running).code).toBe(130);
  });

  test('leaves a run that is only watched', async () => {
    const io = ioOf(['watch', 'run-1']);
    server.answer(known, openStream(started('1-0')));
    const running = command(io);
    await until('the stream', () => server.requests.length === 2);
    io.events.emit('SIGINT');
    expect((await running).code).toBe(130);
    expect(server.requests).toHaveLength(2);
  });

  test('that comes too late says so in one line', async () => {
    const io = ioOf(['run', 'run.json']);
    const refused = Promise.withResolvers<void>();
    server.answer(
      created,
      async (connection) => {
        await openStream(started('1-0'))(connection, { method: '', path: '', headers: {}, body: '' });
        io.events.emit('SIGINT');
        await refused.promise;
        await until('the complaint', () => io.complaints.length === 2);
        await connection.write(succeeded('2-0'));
      },
      async (connection, request) => {
        await json(409, { detail: "run already finished with status 'succeeded'" })(connection, request);
        refused.resolve();
      },
    );
    const { code, complaints } = await command(io);
    expect(code).toBe(0);
    expect(complaints[1]).toBe("Dify Agent HTTP 409: run already finished with status 'succeeded'");
  });
});

test.each(['{}', '[]', '"x"', 'null'])(
  'a file that is no request is refused before anything is sent: %s',
  async (text) => {
    const { code, complaints } = await command({ ...ioOf(['run', '-']), readInput: () => Promise.resolve(text) });
    expect(code).toBe(2);
    expect(complaints).toEqual(['standard input: must be the body of POST /runs: an object with a composition']);
    expect(server.requests).toEqual([]);
  },
);

describe('watch and cancel', () => {
  test('watch looks whether there is such a run, and begins at a cursor', async () => {
    server.answer(known, stream(succeeded('7-0', 'late')));
    expect(await command(ioOf(['watch', 'a/b', '--after', '6-0']))).toMatchObject({ code: 0, printed: 'late\n' });
    expect(server.requests.map(({ path }) => path)).toEqual(['/runs/a%2Fb', '/runs/a%2Fb/events/sse?after=6-0']);
  });

  test('watch behind the end says that the run is over, and how', async () => {
    const page = { run_id: 'run-1', events: [], next_cursor: '7-0' };
    for (const [status, code] of [
      ['succeeded', 0],
      ['failed', 1],
      ['cancelled', 3],
    ] as const) {
      server.answer(known, stream(), json(200, record(status)), json(200, page), json(200, record(status)));
      const watched = await command(ioOf(['watch', 'run-1', '--after', '7-0']));
      expect(watched).toMatchObject({ code, printed: '' });
      expect(watched.complaints).toEqual([`run run-1 is over (${status}); nothing follows 7-0`]);
    }
  });

  test('cancel waits for the end', async () => {
    server.answer(accepted, stream(started('1-0'), cancelled('2-0')));
    const { code, printed } = await command(ioOf(['cancel', 'run-1', '--reason', 'too slow']));
    expect({ code, printed }).toEqual({ code: 0, printed: 'cancelled (user_cancelled)\n' });
    expect(server.requests[0]?.body).toBe('{"reason":"too slow","message":null}');
    server.answer(accepted, stream(cancelled('2-0')));
    expect(JSON.parse((await command(ioOf(['cancel', 'run-1', '--json']))).printed).type).toBe('run_cancelled');
  });

  test('cancel of a finished run is exit code 1', async () => {
    server.answer(json(409, { detail: "run already finished with status 'succeeded'" }));
    expect((await command(ioOf(['cancel', 'run-1']))).code).toBe(1);
  });
});

describe('the way to the server', () => {
  test('the token is sent and never printed, whatever goes wrong', async () => {
    const token = 'tok-123456';
    const env = { DIFY_AGENT_API_TOKEN: ` ${token} ` };
    server.answer(json(401, { detail: 'invalid bearer token' }));
    const outcomes = [await command(ioOf(['watch', 'x'], env))];
    expect(server.requests[0]?.headers.authorization).toBe(`Bearer ${token}`);
    outcomes.push(await command(ioOf(['watch', 'x'], { DIFY_AGENT_API_TOKEN: `${token}\u0001` })));
    outcomes.push(await command(ioOf(['watch', 'x', '--url', `http://u:${token}@127.0.0.1/?q`], env)));
    outcomes.push(await command(ioOf(['run', 'run.json', '--url', `http://u:${token}@127.0.0.1:9`])));
    expect(outcomes.map(({ code }) => code)).toEqual([1, 2, 2, 1]);
    for (const { printed, complaints } of outcomes) expect(printed + complaints.join('\n')).not.toContain(token);
  });

  test('a server that is away is one line that names it', async () => {
    const { code, complaints } = await command(ioOf(['run', 'run.json', '--url', 'http://127.0.0.1:9']));
    expect({ code, lines: complaints.length }).toEqual({ code: 1, lines: 1 });
    expect(complaints[0]).toStartWith('createRun request failed: ');
    expect(complaints[0]).toEndWith('(http://127.0.0.1:9)');
  });

  test('an error of the request is one line without its values', async () => {
    const detail = [{ type: 'missing', loc: ['body', 'composition'], msg: 'Field required', input: { key: 'sk-1' } }];
    server.answer(json(422, { detail }));
    const { code, complaints } = await command(ioOf(['run', 'run.json']));
    expect({ code, complaints }).toEqual({
      code: 1,
      complaints: ['Dify Agent HTTP 422: body.composition: Field required'],
    });
  });

  test.each([
    ['run', /expected 1 argument, got 0\. Usage: dify-agent run FILE\|-/],
    ['run a b', /expected 1 argument, got 2/],
    ['run a --frob', /Unknown option '--frob'/],
    ['watch x --after', /--after/],
    ['cancel', /Usage: dify-agent cancel RUN_ID/],
    ['watch x --url ftp://x', /baseUrl must be/],
    ['run nowhere.json', /nowhere\.json: ENOENT/],
    ['run .', /\.: EISDIR/],
  ])('%s: not understood, exit code 2', async (line, text) => {
    const { code, complaints, printed } = await command(ioOf(line.split(' ')));
    expect({ code, printed, lines: complaints.length }).toEqual({ code: 2, printed: '', lines: 1 });
    expect(complaints[0]).toMatch(text);
    expect(server.requests).toEqual([]);
  });

  test('a file that is no JSON is refused before anything is sent; a byte order mark is no fault', async () => {
    writeFileSync(join(folder, 'bad.json'), '{"a":');
    expect((await command(ioOf(['run', 'bad.json']))).complaints[0]).toBe('bad.json: Expecting value (character 5)');
    writeFileSync(join(folder, 'mark.json'), `\ufeff${REQUEST}`);
    server.answer(created, stream(succeeded('1-0')));
    expect((await command(ioOf(['run', 'mark.json']))).code).toBe(0);
  });
});
