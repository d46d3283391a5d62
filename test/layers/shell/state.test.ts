// Hostile and honest snapshots: what is wrong with one is said before anything is asked of shellctl.

import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import type { JsonObject } from '../../../src/base/json.ts';
import { shellLayer } from '../../../src/layers/shell.ts';
import { fault } from '../fixtures.ts';
import { quiet, type ShellWorld, shellWorld, snapshotOf, stateIn } from './kit.ts';

let world: ShellWorld;

beforeAll(() => {
  world = shellWorld();
});

afterAll(() => world.stop());

const ID = '3f9a0c4';
const CWD = `~/workspace/${ID}`;

/** The text with which a run of this state fails, on building or on entering. */
async function failure(state: JsonObject): Promise<string> {
  try {
    const { exit } = await world.enter({ snapshot: snapshotOf(state) });
    await exit('suspend');
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    return text.replace(/input_value=.*?, input_type/g, 'input_value=…, input_type');
  }
  return 'entered';
}

const one = (text: string) => `1 validation error for DifyShellRuntimeState\n${text}`;
const value = (loc: string, text: string, type: string) => one(fault(loc, `Value error, ${text}`, 'value_error', type));
const whole = (text: string) => {
  const [, ...lines] = fault('', `Value error, ${text}`, 'value_error', 'dict').split('\n');
  return one(lines.join('\n'));
};
const SESSION = "session_id must match the 5+2 lowercase hex format '<5 hex><2 hex>'.";
const state = (changes: JsonObject): JsonObject => ({
  session_id: ID,
  workspace_cwd: CWD,
  job_ids: [],
  job_offsets: {},
  ...changes,
});

describe('a snapshot is refused before any request when', () => {
  test.each<[string, JsonObject, string]>([
    ...['', '3f9a0c', '3f9a0c45', '3F9A0C4', '3f9a0cg', '../../x', '3f9a0c4\n', '3f9a0c4/', '$(date)', '٣f9a0c4'].map(
      (id): [string, JsonObject, string] => [
        `its session id is ${JSON.stringify(id)}`,
        state({ session_id: id, workspace_cwd: null }),
        value('session_id', SESSION, 'str'),
      ],
    ),
    [
      'its session id is no text',
      state({ session_id: 1234567 }),
      one(fault('session_id', 'Input should be a valid string', 'string_type', 'int')),
    ],
    [
      'it has a directory without a session',
      state({ session_id: null }),
      whole('workspace_cwd requires a matching session_id.'),
    ],
    ...['/etc', '~/workspace/3f9a0c5', `${CWD}/`, `${CWD}/../..`, '~', '', `/home/x/workspace/${ID}`].map(
      (cwd): [string, JsonObject, string] => [
        `its directory is ${JSON.stringify(cwd)}`,
        state({ workspace_cwd: cwd }),
        whole(`workspace_cwd must equal '${CWD}' for session_id '${ID}'.`),
      ],
    ),
    [
      'a job occurs twice',
      state({ job_ids: ['a', 'b', 'a'] }),
      value('job_ids', 'job_ids must not contain duplicates.', 'list'),
    ],
    ...['', '.', '..', 'a/b', 'a?b', 'a b', '%2e', 'ä', 'a\n', 'x'.repeat(129)].map(
      (id): [string, JsonObject, string] => [
        `a job is called ${JSON.stringify(id.slice(0, 10))}`,
        state({ job_ids: [id] }),
        value('job_ids', 'job_ids must be ids of shellctl jobs.', 'list'),
      ],
    ),
    [
      'it has too many jobs',
      state({ job_ids: Array.from({ length: 4097 }, (_, i) => `j${i}`) }),
      value('job_ids', 'job_ids must contain at most 4096 items.', 'list'),
    ],
    [
      'an offset is of no job',
      state({ job_ids: ['x'], job_offsets: { b: 1, a: 1, x: 0 } }),
      whole('job_offsets contains unknown job ids: a, b.'),
    ],
    [
      'an offset is of __proto__',
      state({ job_offsets: JSON.parse('{"__proto__":1}') }),
      whole('job_offsets contains unknown job ids: __proto__.'),
    ],
    [
      'an offset is negative',
      state({ job_ids: ['x'], job_offsets: { x: -1 } }),
      one(fault('job_offsets.x', 'Input should be greater than or equal to 0', 'greater_than_equal', 'int')),
    ],
    [
      'an offset is no number',
      state({ job_ids: ['x'], job_offsets: { x: null } }),
      one(fault('job_offsets.x', 'Input should be a valid integer', 'int_type', 'NoneType')),
    ],
    [
      'an offset is beyond what can be counted',
      state({ job_ids: ['x'], job_offsets: { x: JSON.rawJSON('9007199254740993') } }),
      value('job_offsets.x', 'job offsets must be at most 9007199254740991.', 'int'),
    ],
    [
      'it has another key',
      state({ note: 'x' }),
      one(fault('note', 'Extra inputs are not permitted', 'extra_forbidden', 'str')),
    ],
    ['it has no session', {}, 'DifyShellLayer runtime state is missing session_id or workspace_cwd.'],
    ['it has no directory', { session_id: ID }, 'DifyShellLayer runtime state is missing session_id or workspace_cwd.'],
  ])('%s', async (_, runtimeState, text) => {
    world.fake.forgetRequests();
    expect(await failure(runtimeState)).toBe(text);
    expect(world.fake.requests).toEqual([]);
    expect(world.deps.locks.size).toBe(0);
  });
});

test('an honest one is resumed without a request, and comes back as it was', async () => {
  world.fake.forgetRequests();
  const before = state({ job_ids: ['06101430-a2b', '42'], job_offsets: { '42': 7, '06101430-a2b': 0 } });
  const { run, exit } = await world.enter({ snapshot: snapshotOf(before) });
  expect(run.get('shell').className).toBe('DifyShellLayer');
  expect(stateIn(await exit('suspend'))).toEqual(before);
  expect(world.fake.requests).toEqual([]);
});

test('an offset that is missing stays missing', async () => {
  const before = state({ job_ids: ['a', 'b'], job_offsets: { b: 3 } });
  const { exit } = await world.enter({ snapshot: snapshotOf(before) });
  expect(stateIn(await exit('suspend'))).toEqual(before);
});

test('a state with a session is recognised as one of this type, others are not', () => {
  const { recogniseState } = shellLayer(world.deps);
  expect(recogniseState?.(state({ job_ids: ['a'] }))).toBe(true);
  for (const other of [
    {},
    { messages: [] },
    state({ session_id: null, workspace_cwd: null }),
    state({ more: 1 }),
    state({ session_id: '../..', workspace_cwd: null }),
  ]) {
    expect(recogniseState?.(other)).toBe(false);
  }
});

test('a new session has the four keys of the wire', () => {
  const run = world.prepare();
  expect(run.get('shell').state).toEqual({ session_id: null, workspace_cwd: null, job_ids: [], job_offsets: {} });
  expect(Object.keys(run.get('shell').state)).toEqual(['session_id', 'workspace_cwd', 'job_ids', 'job_offsets']);
});

test('a scope is opened once', async () => {
  const { run, exit } = await world.enter({ snapshot: snapshotOf(state({})) });
  expect(run.get('shell').open?.(quiet())).rejects.toThrow(
    'DifyShellLayer resource_context() is already active for this layer instance.',
  );
  await exit('suspend');
});
