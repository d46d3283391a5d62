// The file endpoints over HTTP (spec 04 §3): shapes, codes and texts of both interfaces, and what a caller can do wrong.

import { afterAll, beforeAll, beforeEach, describe, expect, setDefaultTimeout, test } from 'bun:test';
import { existsSync, mkdirSync, readFileSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isSessionId } from '../../src/workspaces/session.ts';
import { until } from '../support/until.ts';
import { type FileAnswer, type FilesWorld, locatorOf, SESSION, startFilesWorld } from './files-kit.ts';
import { connect, startServer } from './support.ts';

// Each look starts a Python; a busy machine takes its time.
setDefaultTimeout(60_000);

let world: FilesWorld;
beforeAll(async () => {
  world = await startFilesWorld();
});
afterAll(() => world.stop());
beforeEach(() => world.reset());

const post = (operation: string, members: object = {}) =>
  world.post(`/sandbox/files/${operation}`, { locator: locatorOf(), ...members });
const inspect = (rest: string) => world.get(`/workspaces/${SESSION}/files${rest}`);

function faultIn({ status, json, type }: FileAnswer): string {
  expect(type).toBe('application/json');
  expect(Object.keys(json as object)).toEqual(['detail']); // an object, as the content type says
  const { detail } = json as { readonly detail: { readonly code: string; readonly message: string } }; // see above
  expect(Object.keys(detail)).toEqual(['code', 'message']);
  return `${status} ${detail.code}: ${detail.message}`;
}

/** Types and locations of a 422. */
function issuesIn({ status, json }: FileAnswer): readonly string[] {
  expect(status).toBe(422);
  const { detail } = json as {
    readonly detail: readonly { readonly type: string; readonly loc: readonly unknown[] }[];
  }; // FastAPI's
  return detail.map(({ type, loc }) => `${type} ${loc.join('.')}`);
}

describe('POST /sandbox/files/list', () => {
  test('the answer of the contract, member for member', async () => {
    writeFileSync(join(world.root, 'a.csv'), 'x'.repeat(12));
    utimesSync(join(world.root, 'a.csv'), 1_781_100_000, 1_781_100_000);
    const { status, json, type } = await post('list', { path: '.' });
    expect([status, type]).toEqual([200, 'application/json']);
    expect(JSON.stringify(json)).toBe(
      '{"path":".","entries":[{"name":"a.csv","type":"file","size":12,"mtime":1781100000}],"truncated":false}',
    );
  });

  test('no path, a blank one and a padded one', async () => {
    mkdirSync(join(world.root, 'out'));
    for (const members of [{}, { path: '' }, { path: ' \t\n ' }]) {
      expect((await post('list', members)).json).toMatchObject({ path: '.', entries: [{ name: 'out', type: 'dir' }] });
    }
    expect((await post('list', { path: '  out ' })).json).toEqual({ path: 'out', entries: [], truncated: false });
  });

  test('what it refuses', async () => {
    writeFileSync(join(world.root, 'file'), '');
    symlinkSync('/etc', join(world.root, 'out'));
    const of = async (path: string) => faultIn(await post('list', { path }));
    expect(await of('file')).toBe('400 sandbox_path_not_readable: path is not a directory');
    expect(await of('nothing')).toBe('404 sandbox_path_not_found: path not found in sandbox');
    expect(await of('out')).toBe('400 invalid_sandbox_path: path escapes the sandbox workspace');
    expect(await of('..')).toBe('400 invalid_sandbox_path: path escapes the sandbox workspace');
  });
});

describe('POST /sandbox/files/read', () => {
  test('the answer of the contract, member for member', async () => {
    writeFileSync(join(world.root, 'a.csv'), 'x,y\n');
    const { json } = await post('read', { path: 'a.csv', max_bytes: 262_144 });
    expect(JSON.stringify(json)).toBe('{"path":"a.csv","size":4,"truncated":false,"binary":false,"text":"x,y\\n"}');
    writeFileSync(join(world.root, 'b'), Buffer.from([0xff]));
    expect((await post('read', { path: 'b' })).json).toEqual({
      path: 'b',
      size: 1,
      truncated: false,
      binary: true,
      text: null,
    });
  });

  test('max_bytes has bounds', async () => {
    writeFileSync(join(world.root, 'f'), 'abc');
    const read = (max_bytes: unknown) => post('read', { path: 'f', max_bytes });
    expect((await read(1)).json).toMatchObject({ size: 3, truncated: true, text: 'a' });
    expect((await read(4_194_304)).json).toMatchObject({ truncated: false, text: 'abc' });
    for (const [bad, type] of [
      [0, 'greater_than_equal'],
      [-1, 'greater_than_equal'],
      [4_194_305, 'less_than_equal'],
      [1e300, 'int_parsing_size'],
      [1.5, 'int_from_float'],
      ['x', 'int_parsing'],
      [null, 'int_type'],
    ] as const) {
      expect(issuesIn(await read(bad))).toEqual([`${type} body.max_bytes`]);
    }
    expect(world.fake.requests.filter(({ path }) => path.endsWith('/run'))).toHaveLength(2);
  });

  test('what it refuses', async () => {
    mkdirSync(join(world.root, 'dir'));
    const of = async (path: string) => faultIn(await post('read', { path }));
    expect(await of('')).toBe('400 invalid_sandbox_path: path must not be blank');
    expect(await of(' \n')).toBe('400 invalid_sandbox_path: path must not be blank');
    expect(await of('/etc/passwd')).toBe('400 invalid_sandbox_path: path must be relative to the sandbox workspace');
    expect(await of(' ~root/x')).toBe('400 invalid_sandbox_path: path must be relative to the sandbox workspace');
    for (const path of ['a\0b', 'a\nb', 'a\x7fb', 'a\u0085b', 'a\x1b[2Jb']) {
      expect(await of(path)).toBe('400 invalid_sandbox_path: path contains unsupported control characters');
    }
    expect(world.fake.requests).toEqual([]);
    expect(await of('nothing')).toBe('404 sandbox_path_not_found: path not found in sandbox');
    expect(await of('dir')).toBe('400 sandbox_path_not_readable: path is not a readable file');
    expect(await of('../x')).toBe('400 invalid_sandbox_path: path escapes the sandbox workspace');
    expect(await of('dir/../../x')).toBe('400 invalid_sandbox_path: path escapes the sandbox workspace');
  });

  test('paths are needed and extras are refused', async () => {
    expect(issuesIn(await post('read'))).toEqual(['missing body.path']);
    expect(issuesIn(await post('read', { path: 'x', more: 1 }))).toEqual(['extra_forbidden body.more']);
    expect(issuesIn(await post('list', { max_bytes: 1 }))).toEqual(['extra_forbidden body.max_bytes']);
    expect(issuesIn(await world.post('/sandbox/files/read', { path: 'x' }))).toEqual(['missing body.locator']);
    expect(issuesIn(await world.post('/sandbox/files/read', '{"path":'))[0]).toStartWith('json_invalid body.');
    const locator = { ...locatorOf(), more: 1 };
    expect(issuesIn(await world.post('/sandbox/files/list', { locator }))).toEqual([
      'extra_forbidden body.locator.more',
    ]);
  });

  test('a lone surrogate in a path harms nobody', async () => {
    const body = JSON.stringify({ locator: locatorOf(), path: 'x' }).replace('"x"', '"\\ud800"');
    const { status } = await world.post('/sandbox/files/read', body);
    expect([404, 422]).toContain(status);
  });
});

describe('a locator', () => {
  test('that does not lead to a shell is told what is wrong with it', async () => {
    const none = { composition: { layers: [] }, session_snapshot: { layers: [] } };
    const fault = faultIn(await world.post('/sandbox/files/list', { locator: none }));
    expect(fault).toStartWith('400 invalid_sandbox_locator: ');
    expect(fault).toContain('shell');
    for (const sessionId of ['3F9A0C4', '../../etc', '3f9a0c4\n', '']) {
      const locator = locatorOf({ sessionId });
      expect(faultIn(await world.post('/sandbox/files/list', { locator }))).toContain(
        "400 invalid_sandbox_locator: 1 validation error for DifyShellRuntimeState\nsession_id\n  Value error, session_id must match the 5+2 lowercase hex format '<5 hex><2 hex>'.",
      );
    }
    const config = { bogus: 1 };
    expect(faultIn(await world.post('/sandbox/files/list', { locator: locatorOf({ config }) }))).toStartWith(
      '400 invalid_sandbox_locator: 1 validation error for DifyShellLayerConfig',
    );
    expect(world.fake.requests).toEqual([]);
  });

  test('whose workspace is gone', async () => {
    world.fake.loseWorkspaces(SESSION);
    expect(faultIn(await post('list'))).toStartWith(
      '502 sandbox_command_failed: invalid_cwd (400): cwd is not a directory',
    );
  });
});

describe('POST /sandbox/files/upload', () => {
  const MAPPING = '{"transfer_method":"tool_file","reference":"dify-file-ref:e30=","download_url":"https://x/y"}';

  test('is done by the sandbox with a token of its own, which is over when the upload is', async () => {
    world.tool(`printf %s "$DIFY_AGENT_STUB_AUTH_JWE" >"$HOME/token"; echo '${MAPPING}'`);
    writeFileSync(join(world.root, 'f'), 'x');
    const { status, json } = await postWithDrive('upload', { path: ' f ' });
    expect(status).toBe(200);
    expect(JSON.stringify(json)).toBe(`{"path":"f","file":${MAPPING}}`);
    expect(readFileSync(join(world.fake.home, 'token'), 'utf8')).toBe('token-1');
    expect(world.issued).toEqual([
      {
        context: expect.objectContaining({ tenant_id: 't-1' }),
        sessionId: SESSION,
        driveRef: 'agent-1',
        revoked: true,
      },
    ]);
  });

  test('what goes wrong is told, and the token is over all the same', async () => {
    writeFileSync(join(world.root, 'f'), 'x');
    world.tool('echo "signed file upload failed: HTTP 413" >&2; exit 1');
    expect(faultIn(await postWithDrive('upload', { path: 'f' }))).toBe(
      '502 agent_stub_upload_failed: signed file upload failed: HTTP 413',
    );
    world.tool('echo not json');
    expect(faultIn(await postWithDrive('upload', { path: 'f' }))).toBe(
      '502 agent_stub_upload_failed: upload returned invalid JSON: not json',
    );
    mkdirSync(join(world.root, 'dir'));
    expect(faultIn(await postWithDrive('upload', { path: 'dir' }))).toBe(
      '400 sandbox_path_not_readable: path is not a readable file',
    );
    expect(faultIn(await postWithDrive('upload', { path: 'nothing' }))).toStartWith('404 sandbox_path_not_found');
    expect(world.issued.map(({ revoked }) => revoked)).toEqual([true, true, true, true]);
  });

  test('a blank path, and a shell without an identity', async () => {
    expect(faultIn(await post('upload', { path: ' ' }))).toBe('400 invalid_sandbox_path: path must not be blank');
    const { composition, session_snapshot } = locatorOf();
    const locator = {
      composition: { ...composition, layers: composition.layers.slice(1).map((layer) => ({ ...layer, deps: {} })) },
      session_snapshot: { ...session_snapshot, layers: session_snapshot.layers.slice(1) },
    };
    expect(faultIn(await world.post('/sandbox/files/upload', { locator, path: 'f' }))).toBe(
      '502 sandbox_command_failed: Agent Stub environment injection is not available for this shell session.',
    );
    expect(world.issued).toEqual([]);
  });

  /** The session has a drive, too. */
  async function postWithDrive(operation: string, members: object): Promise<FileAnswer> {
    const locator = locatorOf({ config: { agent_stub_drive_ref: 'agent-1' } });
    return world.post(`/sandbox/files/${operation}`, { locator, ...members });
  }
});

describe('GET /workspaces/{session_id}/files', () => {
  test('the answers of the contract, member for member', async () => {
    mkdirSync(join(world.root, 'out'));
    writeFileSync(join(world.root, 'out/a.csv'), 'x,y\n1,2\n3,4\n');
    writeFileSync(join(world.root, 'out/a.png'), Buffer.from([0x89, 0x50]));
    utimesSync(join(world.root, 'out/a.csv'), 1_781_100_000, 1_781_100_000);
    utimesSync(join(world.root, 'out/a.png'), 1_781_100_000, 1_781_100_000);
    expect(JSON.stringify((await inspect('?path=out')).json)).toBe(
      '{"path":"out","entries":[{"name":"a.csv","type":"file","size":12,"mtime":1781100000},{"name":"a.png","type":"file","size":2,"mtime":1781100000}],"truncated":false}',
    );
    expect(JSON.stringify((await inspect('/preview?path=out/a.csv')).json)).toBe(
      '{"path":"out/a.csv","size":12,"truncated":false,"binary":false,"text":"x,y\\n1,2\\n3,4\\n"}',
    );
    expect(JSON.stringify((await inspect('/download?path=out%2Fa.png')).json)).toBe(
      '{"path":"out/a.png","size":2,"truncated":false,"content_base64":"iVA="}',
    );
  });

  test('it knows three types: anything else is a file', async () => {
    Bun.spawnSync(['mkfifo', join(world.root, 'pipe')]);
    symlinkSync('x', join(world.root, 'link'));
    expect((await inspect('')).json).toMatchObject({
      path: '.',
      entries: [
        { name: 'link', type: 'symlink' },
        { name: 'pipe', type: 'file' },
      ],
    });
  });

  test('what it refuses', async () => {
    mkdirSync(join(world.root, 'dir'));
    writeFileSync(join(world.root, 'file'), '');
    symlinkSync('/etc', join(world.root, 'link'));
    const of = async (rest: string) => faultIn(await inspect(rest));
    expect(await of('?path=/etc')).toBe('400 invalid_path: path must be relative to the workspace');
    expect(await of('?path=~root')).toBe('400 invalid_path: path must be relative to the workspace');
    expect(await of('?path=a%00b')).toBe('400 invalid_path: path contains control characters');
    expect(await of('?path=a%0Ab')).toBe('400 invalid_path: path contains control characters');
    expect(await of('?path=..')).toBe('400 invalid_path: path must not traverse outside the workspace');
    expect(await of('?path=dir/../..')).toBe('400 invalid_path: path must not traverse outside the workspace');
    expect(world.fake.requests).toEqual([]);
    expect(await of('?path=nothing')).toBe('404 not_found: path not found in workspace');
    expect(await of('?path=link')).toBe('400 path_escape: path escapes the workspace');
    expect(await of('?path=file')).toBe('400 not_a_directory: path is not a directory');
    expect(await of('/preview?path=dir')).toBe('400 is_a_directory: path is a directory');
    expect(await of('/download?path=')).toBe('400 is_a_directory: path is a directory');
    expect((await inspect('?path=..a')).status).toBe(404);
    expect(issuesIn(await inspect('/preview'))).toEqual(['missing query.path']);
    expect(issuesIn(await inspect('/download'))).toEqual(['missing query.path']);
    world.fake.loseWorkspaces(SESSION);
    expect(await of('')).toBe('404 workspace_not_found: workspace does not exist');
  });

  test('session ids that are none are refused before anything is asked', async () => {
    const invalid = "400 invalid_session_id: session_id must match the 5+2 lowercase hex format '<5 hex><2 hex>'.";
    const ids = [
      '3F9A0C4',
      '3f9a0c',
      '3f9a0c44',
      '3f9a0c4%0a',
      '3f9a0c4%00',
      '%33f9a0c4%0A',
      '..',
      '%2e%2e',
      '~',
      '3f9a0cg',
      '%',
    ];
    for (const id of [...ids, '%FF', '3f9a0c4 ', '%D9%A3f9a0c4']) {
      const { status, body } = await raw(`/workspaces/${id}/files`);
      const fault = status === 404 ? '404' : `${status} ${body}`;
      expect(['404', `400 {"detail":{"code":"invalid_session_id","message":"${invalid.slice(24)}"}}`]).toContain(fault);
    }
    expect((await raw('/workspaces/3f9a0c4%2F..%2Fx/files')).status).toBe(404);
    expect(world.fake.requests).toEqual([]);
    // An escape that is one after all.
    expect((await raw('/workspaces/%33f9a0c4/files')).status).toBe(200);
    expect(isSessionId('3f9a0c4\n')).toBe(false);
  });

  /** One request whose target nobody has tidied up. */
  async function raw(target: string): Promise<{ readonly status: number; readonly body: string }> {
    const connection = await connect(world.server.port);
    connection.write(`GET ${target.replaceAll(' ', '%20')} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
    await until('the answer', () => connection.closed);
    const [head = '', body = ''] = connection.received.split('\r\n\r\n');
    return { status: Number(head.split(' ')[1]), body };
  }
});

describe('without shellctl', () => {
  test('both interfaces say so in their words', async () => {
    const bare = await startServer();
    try {
      const body = JSON.stringify({ locator: locatorOf(), path: 'x' });
      for (const operation of ['list', 'read', 'upload']) {
        const init = { method: 'POST', headers: { 'content-type': 'application/json' }, body };
        const response = await fetch(`${bare.url}/sandbox/files/${operation}`, init);
        expect([response.status, await response.text()]).toEqual([
          503,
          '{"detail":{"code":"sandbox_backend_unavailable","message":"sandbox service is not configured"}}',
        ]);
      }
      for (const rest of ['', '/preview?path=x', '/download?path=x']) {
        const response = await fetch(`${bare.url}/workspaces/${SESSION}/files${rest}`);
        expect([response.status, await response.text()]).toEqual([
          503,
          '{"detail":"workspace inspector is not configured (no shellctl entrypoint)"}',
        ]);
      }
    } finally {
      await bare.stop();
    }
  });
});

describe('a shellctl that does not do its work', () => {
  test('refuses the token', async () => {
    world.fake.setToken('another');
    expect(faultIn(await post('list'))).toBe(
      '502 sandbox_command_failed: unauthorized (401): Missing or invalid bearer token',
    );
    expect(faultIn(await inspect(''))).toBe('502 shellctl_error: unauthorized (401): Missing or invalid bearer token');
  });

  test('is not there', async () => {
    world.fake.vanish();
    try {
      expect(faultIn(await post('read', { path: 'x' }))).toStartWith('502 sandbox_command_failed: request_error');
      expect(faultIn(await inspect(''))).toStartWith('502 shellctl_error: request_error');
    } finally {
      world.fake.reappear();
    }
  });

  test('answers garbage', async () => {
    const replies = [
      [{ status: 200, body: '<html>' }, 'invalid_json'],
      [{ status: 500, body: 'Internal Server Error' }, 'invalid_json (500)'],
      [{ status: 503, body: '{"error":{"code":"busy","message":"later"}}' }, 'busy (503): later'],
      [{ status: 200, body: '[]' }, 'invalid_payload'],
      [{ status: 200, body: '{}' }, ''],
    ] as const;
    for (const [reply, text] of replies) {
      world.fake.fault(() => ({ reply }));
      expect(faultIn(await post('list'))).toStartWith(`502 sandbox_command_failed: ${text}`);
      expect(faultIn(await inspect(''))).toStartWith(`502 shellctl_error: ${text}`);
    }
    const job = { job_id: 'j', status: 'exited', exit_code: 0, done: true, output: 'hello', offset: 5 };
    world.fake.fault(() => ({ reply: { status: 200, body: JSON.stringify(job) } }));
    expect(faultIn(await post('list'))).toBe('502 sandbox_command_failed: sandbox command returned no framed payload');
    expect(faultIn(await inspect(''))).toBe('502 reader_failed: sandbox command returned no framed payload');
  });
});

describe('a look and the rest of the world', () => {
  test('does not wait for a run that works in the workspace', async () => {
    if (!isSessionId(SESSION)) throw new Error('it is one');
    const release = await world.locks.acquire(SESSION, 1_000, new AbortController().signal);
    try {
      writeFileSync(join(world.root, 'f'), 'x');
      expect((await post('read', { path: 'f' })).status).toBe(200);
      expect((await inspect('')).status).toBe(200);
    } finally {
      release();
    }
  });

  test('many looks at once are answered', async () => {
    writeFileSync(join(world.root, 'f'), 'x');
    const answers = await Promise.all(Array.from({ length: 24 }, () => post('read', { path: 'f' })));
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
    await world.settle();
    expect(world.fake.jobIds()).toEqual([]);
  });

  test('a caller that hangs up ends its job, and nobody is alarmed', async () => {
    writeFileSync(join(world.root, 'f'), 'x');
    world.tool(`touch "$HOME/begun"; exec sleep 60`);
    const connection = await connect(world.server.port);
    const body = JSON.stringify({ locator: locatorOf(), path: 'f' });
    connection.write(
      `POST /sandbox/files/upload HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    );
    await until('the upload to have begun', () => existsSync(join(world.fake.home, 'begun')));
    connection.end();
    await until('the job to be ended', () => world.fake.jobIds().length === 0);
    await until('the token to be over', () => world.issued[0]?.revoked === true);
    await world.settle();
    expect(world.server.log.filter(({ level }) => level === 'error' || level === 'warn')).toEqual([]);
  });
});
