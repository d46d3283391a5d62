// Snapshots are the caller's. Those that nobody honest sends, over HTTP: said in the words of spec 04 §2.3, before anything is asked
// of shellctl, and the same for a run that deletes.

import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test';
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { post } from '../support/runs.ts';
import { runs, type ShellServer, shellBody, shellServer, snapshotWith } from './shell-kit.ts';

setDefaultTimeout(120_000);

let world: ShellServer;
beforeAll(async () => {
  world = await shellServer();
  mkdirSync(join(world.shellctl.home, 'workspace/abcdef1'), { recursive: true });
  mkdirSync(join(world.shellctl.home, 'precious'));
  writeFileSync(join(world.shellctl.home, 'precious/file'), 'x');
});
afterAll(() => world.stop());

const ID = 'abcdef1';
const good = { session_id: ID, workspace_cwd: `~/workspace/${ID}`, job_ids: [], job_offsets: {} };
const NO_ID = "session_id must match the 5+2 lowercase hex format '<5 hex><2 hex>'.";
const MISSING = 'DifyShellLayer runtime state is missing session_id or workspace_cwd.';
const cwd = `workspace_cwd must equal '~/workspace/${ID}' for session_id '${ID}'.`;
const as = (session_id: unknown) => ({ ...good, session_id, workspace_cwd: `~/workspace/${String(session_id)}` });

const FORGED: readonly [name: string, state: unknown, said: string][] = [
  ['an id with a newline', as('abcdef1\n'), NO_ID],
  ['an id with a newline before it', as('\nabcdef1'), NO_ID],
  ['an upper-case id', as('ABCDEF1'), NO_ID],
  ['an id of 8 characters', as('abcdef12'), NO_ID],
  ['an id of 6 characters', as('abcdef'), NO_ID],
  ['no characters at all', as(''), NO_ID],
  ['an id that climbs', as('../..'), NO_ID],
  ['an id that is a path', as('a/../..'), NO_ID],
  ['an id that is a command', as('$(id);#'), NO_ID],
  ['digits of another alphabet', as('１２３４５６７'), NO_ID],
  ['an id with NUL', as('abcdef\0'), NO_ID],
  ['an id with a combining mark', as('abcdef1\u0301'), NO_ID],
  ['an id that is a number', { ...good, session_id: 1234567 }, 'Input should be a valid string'],
  ['an id that is a list', { ...good, session_id: [ID] }, 'Input should be a valid string'],
  ['no id', { ...good, session_id: null }, 'workspace_cwd requires a matching session_id.'],
  ['neither id nor directory', { ...good, session_id: null, workspace_cwd: null }, MISSING],
  ['nothing', {}, MISSING],
  ['no directory', { ...good, workspace_cwd: null }, MISSING],
  ['a directory with ..', { ...good, workspace_cwd: `~/workspace/${ID}/..` }, cwd],
  ['a directory that climbs out', { ...good, workspace_cwd: '~/workspace/../precious' }, cwd],
  ['the home', { ...good, workspace_cwd: '~' }, cwd],
  ['a directory with a slash behind it', { ...good, workspace_cwd: `~/workspace/${ID}/` }, cwd],
  ['an absolute directory', { ...good, workspace_cwd: '/' }, cwd],
  ["somebody else's directory", { ...good, workspace_cwd: '~/workspace/abcdef2' }, cwd],
  ['a directory with a newline', { ...good, workspace_cwd: `~/workspace/${ID}\n` }, cwd],
  ['a job id with a slash', { ...good, job_ids: ['a/b'] }, 'job_ids must be ids of shellctl jobs.'],
  ['a job id that climbs', { ...good, job_ids: ['..'] }, 'job_ids must be ids of shellctl jobs.'],
  ['an encoded job id that climbs', { ...good, job_ids: ['%2e%2e'] }, 'job_ids must be ids of shellctl jobs.'],
  ['a job id with a query', { ...good, job_ids: ['a?force=true'] }, 'job_ids must be ids of shellctl jobs.'],
  ['a job id with a newline', { ...good, job_ids: ['a\r\nX: y'] }, 'job_ids must be ids of shellctl jobs.'],
  ['an empty job id', { ...good, job_ids: [''] }, 'job_ids must be ids of shellctl jobs.'],
  ['a long job id', { ...good, job_ids: ['a'.repeat(129)] }, 'job_ids must be ids of shellctl jobs.'],
  ['a job id twice', { ...good, job_ids: ['a', 'b', 'a'] }, 'job_ids must not contain duplicates.'],
  ['too many jobs', { ...good, job_ids: Array.from({ length: 4097 }, (_, i) => `j${i}`) }, 'at most 4096 items.'],
  ['job ids that are none', { ...good, job_ids: 'abc' }, 'Input should be a valid list'],
  [
    'an offset of a job that is not there',
    { ...good, job_offsets: { b: 1, a: 1 } },
    'job_offsets contains unknown job ids: a, b.',
  ],
  [
    'a negative offset',
    { ...good, job_ids: ['a'], job_offsets: { a: -1 } },
    'Input should be greater than or equal to 0',
  ],
  ['half an offset', { ...good, job_ids: ['a'], job_offsets: { a: 0.5 } }, 'Input should be a valid integer'],
  [
    'an offset that is no number of bytes',
    { ...good, job_ids: ['a'], job_offsets: { a: 2 ** 60 } },
    `job offsets must be at most ${Number.MAX_SAFE_INTEGER}.`,
  ],
  ['an unknown key', { ...good, shell: '/bin/sh' }, 'Extra inputs are not permitted'],
  [
    'a key of objects',
    JSON.parse(`{"__proto__":{},${JSON.stringify(good).slice(1)}`),
    'Extra inputs are not permitted',
  ],
];

describe.each(['suspend', 'delete'])('on_exit %s', (onExit) => {
  test.each(FORGED)('%s is refused', async (_, state, said) => {
    world.shellctl.forgetRequests();
    world.play(runs('echo never'));
    const run = await world.run({ snapshot: snapshotWith(state), onExit: { default: onExit } });
    expect(run.types).toEqual(['run_started', 'run_failed']);
    expect(run.error).toContain(said);
    expect(run.error?.length).toBeLessThan(5000);
    expect(world.shellctl.requests).toEqual([]);
    expect(world.daemon.llmRequests).toEqual([]);
    expect(existsSync(join(world.shellctl.home, 'workspace', ID))).toBe(true);
  });

  test('the same in a run that only enters and exits', async () => {
    world.shellctl.forgetRequests();
    for (const [name, state, said] of FORGED) {
      const snapshot = snapshotWith(state, { model: false });
      const run = await world.run({ snapshot, model: false, onExit: { default: onExit } });
      expect({ name, error: run.error }).toEqual({ name, error: expect.stringContaining(said) });
    }
    expect(world.shellctl.requests).toEqual([]);
  });
});

test('the file endpoints refuse them, too', async () => {
  const { composition } = shellBody({ model: false });
  const layers = (composition as { readonly layers: readonly unknown[] }).layers.slice(1); // shellBody's
  for (const [name, state, said] of FORGED) {
    const suspended = (layer: string, runtime_state: unknown) => ({
      ...{ name: layer, lifecycle_state: 'suspended', runtime_state },
    });
    const snapshot = { layers: [suspended('execution_context', {}), suspended('shell', state)] };
    const response = await fetch(`${world.server.url}/sandbox/files/list`, {
      method: 'POST',
      proxy: false,
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ locator: { composition: { layers }, session_snapshot: snapshot } }),
    });
    const answer = await response.text();
    expect({ name, status: response.status, answer }).toEqual({
      ...{ name, status: 400 },
      answer: expect.stringContaining(JSON.stringify(said).slice(1, -1)),
    });
    expect(answer).toContain('invalid_sandbox_locator');
  }
  expect(world.shellctl.requests).toEqual([]);
});

test.each([
  ['an offset with an exponent that is an integer', '1e0', true],
  ['an offset as text', '"1"', true],
  ['an infinite offset', '1e400', false],
  ['an offset beyond doubles', '9007199254740993', false],
])('number texts: %s', async (_, offset, taken) => {
  const state = JSON.stringify({ ...good, job_ids: ['a'], job_offsets: { a: 0 } }).replace('"a":0', `"a":${offset}`);
  const body = JSON.stringify({
    ...shellBody({ model: false }),
    session_snapshot: snapshotWith('STATE', { model: false }),
  });
  const response = await post(world.server.url, body.replace('"STATE"', state));
  if (response.status !== 202) {
    expect([taken, response.status]).toEqual([false, 422]);
    return;
  }
  const { run_id } = (await response.json()) as { readonly run_id: string }; // spec 01 §1.5
  const run = await world.follow(run_id);
  expect([run.error, run.types.at(-1)]).toEqual(
    taken ? [undefined, 'run_succeeded'] : [expect.stringContaining('job_offsets'), 'run_failed'],
  );
});

test('somebody who forges the id of another session gets that workspace, and nothing beside it', async () => {
  writeFileSync(join(world.shellctl.home, 'workspace', ID, 'file'), 'x');
  world.play(runs('cat file'));
  const run = await world.run({ snapshot: snapshotWith(good), onExit: { default: 'delete' } });
  expect(run.results).toMatchObject([{ output: 'x' }]);
  expect(world.workspaces()).toEqual([]);
  expect(readdirSync(join(world.shellctl.home, 'precious'))).toEqual(['file']);
});
