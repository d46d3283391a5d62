// A look into a workspace, against real files: what is shown, what is refused, and that nothing outside is ever reached.

import { afterAll, beforeAll, beforeEach, describe, expect, setDefaultTimeout, test } from 'bun:test';
import {
  chmodSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import type { ShellctlClient } from '../../src/peers/shellctl/port.ts';
import { createBackgroundWork } from '../../src/workspaces/background.ts';
import {
  createWorkspaceFiles,
  type Look,
  MAX_ENTRIES,
  WorkspaceFileError,
  type WorkspaceFiles,
} from '../../src/workspaces/files.ts';
import { newSessionId } from '../../src/workspaces/session.ts';
import { type FakeShellctl, startFakeShellctl } from '../fakes/shellctl.ts';
import { clientFor, errorOf } from '../peers/shellctl/kit.ts';
import { until } from '../support/until.ts';
import { pythonPath } from './python.ts';

// Each look starts a Python; a busy machine takes its time.
setDefaultTimeout(60_000);

const ID = newSessionId(1, 0);
let fake: FakeShellctl;
let client: ShellctlClient;
let files: WorkspaceFiles;
let root: string;
const PATH = pythonPath();
const background = createBackgroundWork();

beforeAll(() => {
  fake = startFakeShellctl({ env: { SEEN: 'inherited', PATH } });
  client = clientFor(fake);
  files = createWorkspaceFiles(client, background.track);
  root = join(fake.home, 'workspace', ID);
});
afterAll(() => {
  client.close();
  fake.stop();
});
beforeEach(() => {
  fake.fault(null);
  fake.loseWorkspaces();
  mkdirSync(root, { recursive: true });
  fake.forgetRequests();
});

function look(changes: Partial<Look> = {}): Look {
  return { signal: new AbortController().signal, owner: 'look', timeoutMs: 20_000, ...changes };
}

/** `fault: message` of what a look rejects with. */
async function faultOf(looking: Promise<unknown>): Promise<string> {
  try {
    await looking;
  } catch (error) {
    if (error instanceof WorkspaceFileError) return `${error.fault}: ${error.message}`;
    throw error;
  }
  throw new Error('nothing was wrong');
}

const read = (path: string, maxBytes = 262_144) => files.read(ID, path, maxBytes, look());
const list = (path: string) => files.list(ID, path, look());

/** A new directory for a PATH, with a shell and nothing else. */
function onlyShell(folder: string): string {
  const path = join(folder, crypto.randomUUID());
  mkdirSync(path);
  symlinkSync('/bin/sh', join(path, 'sh'));
  return path;
}

describe('listing', () => {
  test('shows files, directories, links and others by what they are themselves, sorted by name', async () => {
    writeFileSync(join(root, 'b.txt'), 'hello');
    utimesSync(join(root, 'b.txt'), 1_781_100_000.9, 1_781_100_000.9);
    mkdirSync(join(root, 'a'));
    symlinkSync('/etc', join(root, 'c'));
    symlinkSync('nowhere', join(root, 'd'));
    Bun.spawnSync(['mkfifo', join(root, 'Pipe')]);
    const { entries, truncated } = await list('.');
    expect(entries.map(({ name, type }) => `${name} ${type}`)).toEqual([
      'Pipe other',
      'a dir',
      'b.txt file',
      'c symlink',
      'd symlink',
    ]);
    expect(entries[2]).toEqual({ name: 'b.txt', type: 'file', size: 5, mtime: 1_781_100_000 });
    expect(truncated).toBe(false);
    expect((await list('a')).entries).toEqual([]);
  });

  test('stops at the first thousand of 100,000 names', async () => {
    Bun.spawnSync(['sh', '-c', 'seq -w 0 99999 | xargs touch'], { cwd: root });
    const { entries, truncated } = await list('.');
    expect(entries).toHaveLength(MAX_ENTRIES);
    expect([entries[0]?.name, entries.at(-1)?.name, truncated]).toEqual(['00000', '00999', true]);
    fake.loseWorkspaces();
  });

  test('exactly a thousand are all', async () => {
    Bun.spawnSync(['sh', '-c', 'seq -w 1 1000 | xargs touch'], { cwd: root });
    const { entries, truncated } = await list('.');
    expect([entries.length, truncated]).toEqual([1000, false]);
  });

  test('names that are no UTF-8, have line breaks, marks or quotes', async () => {
    const names = [
      Buffer.from('latin-\xe9', 'latin1'),
      Buffer.from('a\nb'),
      Buffer.from('<<<DIFY_FS_END>>>'),
      '"$(x)"',
      '😀',
    ];
    for (const name of names) writeFileSync(Buffer.concat([Buffer.from(`${root}/`), Buffer.from(name)]), '');
    expect((await list('.')).entries.map(({ name }) => name)).toEqual([
      '"$(x)"',
      '<<<DIFY_FS_END>>>',
      'a\nb',
      'latin-\ufffd',
      '😀',
    ]);
    expect((await read('😀')).text).toBe('');
  });

  test('sizes beyond 32 bits', async () => {
    writeFileSync(join(root, 'sparse'), '');
    truncateSync(join(root, 'sparse'), 5 * 2 ** 40);
    expect((await list('.')).entries[0]?.size).toBe(5 * 2 ** 40);
    expect(await read('sparse', 3)).toEqual({ size: 5 * 2 ** 40, truncated: true, binary: false, text: '\0\0\0' });
  });

  test('of a file, or below one, or of what is not there', async () => {
    writeFileSync(join(root, 'file'), '');
    expect(await faultOf(list('file'))).toStartWith('not_a_directory');
    expect(await faultOf(list('file/x'))).toStartWith('not_found');
    expect(await faultOf(list('nothing'))).toStartWith('not_found');
  });
});

describe('reading', () => {
  test('text, and how much of it there is', async () => {
    writeFileSync(join(root, 'a.csv'), '\ufeffx,y\r\n1,ü\n');
    expect(await read('a.csv')).toEqual({ size: 13, truncated: false, binary: false, text: '\ufeffx,y\r\n1,ü\n' });
    expect(await read('a.csv', 3)).toEqual({ size: 13, truncated: true, binary: false, text: '\ufeff' });
    expect(await read('a.csv', 13)).toMatchObject({ truncated: false });
    writeFileSync(join(root, 'empty'), '');
    expect(await read('empty')).toEqual({ size: 0, truncated: false, binary: false, text: '' });
  });

  test('a character that the limit cuts in two is left out, but bytes that are none are told', async () => {
    writeFileSync(join(root, 'text'), 'é€😀');
    const texts = [];
    for (let limit = 1; limit <= 9; limit += 1) texts.push((await read('text', limit)).text);
    expect(texts).toEqual(['', 'é', 'é', 'é', 'é€', 'é€', 'é€', 'é€', 'é€😀']);
    // Cut by whoever wrote the file, not by us.
    writeFileSync(join(root, 'cut'), Buffer.from('é€').subarray(0, 4));
    expect(await read('cut')).toEqual({ size: 4, truncated: false, binary: true, text: null });
    for (const bytes of [
      [0xff, 0xfe, 0x41],
      [0x80, 0x41, 0x42],
      [0xed, 0xa0, 0x80, 0x41],
      [0xc0, 0xaf, 0x41],
    ]) {
      writeFileSync(join(root, 'bytes'), Buffer.from(bytes));
      expect(await read('bytes', 2)).toMatchObject({ binary: true, text: null, truncated: true });
    }
  });

  test('every byte of a download arrives', async () => {
    const bytes = crypto.getRandomValues(new Uint8Array(65_536));
    writeFileSync(join(root, 'image.png'), bytes);
    const { content_base64: content, ...rest } = await files.download(ID, 'image.png', 8_388_608, look());
    expect(rest).toEqual({ size: 65_536, truncated: false });
    expect(Buffer.from(content, 'base64').equals(bytes)).toBe(true);
  });

  test('200 KB take one job', async () => {
    writeFileSync(join(root, 'big.txt'), 'äö\n'.repeat(40_000));
    const found = await read('big.txt');
    expect(found.text).toHaveLength(120_000);
    expect(fake.requests.filter(({ path }) => path.endsWith('/run'))).toHaveLength(1);
    await background.settle(5_000);
    expect(fake.jobIds()).toEqual([]);
  });

  test('8 MiB are the most that comes, of any bytes', async () => {
    writeFileSync(join(root, 'large'), Buffer.alloc(9 * 1024 * 1024, 0x01));
    const { content_base64: content, truncated } = await files.download(ID, 'large', 8_388_608, look());
    expect([Buffer.from(content, 'base64').length, truncated]).toEqual([8_388_608, true]);
    expect((await read('large', 4 * 1024 * 1024)).text).toHaveLength(4 * 1024 * 1024);
  });

  test('what is no file', async () => {
    mkdirSync(join(root, 'dir'));
    Bun.spawnSync(['mkfifo', join(root, 'pipe')]);
    symlinkSync('loop', join(root, 'loop'));
    symlinkSync('gone', join(root, 'dangling'));
    writeFileSync(join(root, 'file'), '');
    const socket = createServer().listen(join(root, 'socket'));
    try {
      expect(await faultOf(read('.'))).toStartWith('is_a_directory');
      expect(await faultOf(read('dir'))).toStartWith('is_a_directory');
      expect(await faultOf(read('pipe'))).toStartWith('not_readable');
      expect(await faultOf(read('socket'))).toStartWith('not_readable');
      expect(await faultOf(read('dangling'))).toStartWith('not_found');
      expect(await faultOf(read('file/below'))).toStartWith('not_found');
      expect(await faultOf(read('nothing/at/all'))).toStartWith('not_found');
      expect(await faultOf(read('loop'))).toMatch(/^(?:not_readable|not_found)/);
    } finally {
      socket.close();
    }
  });

  test.if(process.getuid?.() === 0)('a device is not opened', async () => {
    const made = Bun.spawnSync(['mknod', join(root, 'zero'), 'c', '1', '5']);
    if (made.exitCode !== 0) return; // a container without CAP_MKNOD
    expect(await faultOf(read('zero'))).toStartWith('not_readable');
  });

  test('what the sandbox may not read', async () => {
    // The tests may run as root, who may read everything: the sandbox does not.
    writeFileSync(join(root, 'secret'), 'x');
    chmodSync(join(root, 'secret'), 0);
    if (process.getuid?.() === 0) return;
    expect(await faultOf(read('secret'))).toStartWith('not_readable');
  });
});

describe('containment', () => {
  test('real paths decide: links inside are followed, links outside and `..` are not', async () => {
    mkdirSync(join(root, 'deep/er'), { recursive: true });
    writeFileSync(join(root, 'deep/er/x'), 'in');
    writeFileSync(join(fake.home, 'outside'), 'out');
    mkdirSync(`${root}-sibling`);
    writeFileSync(`${root}-sibling/x`, 'out');
    symlinkSync('deep/er', join(root, 'inside'));
    symlinkSync(join(root, 'deep'), join(root, 'absolute'));
    symlinkSync('..', join(root, 'up'));
    symlinkSync(fake.home, join(root, 'home'));
    symlinkSync(`../${ID}-sibling`, join(root, 'sibling'));
    symlinkSync('../../outside', join(root, 'file'));

    expect((await read('inside/x')).text).toBe('in');
    expect((await read('absolute/er/x')).text).toBe('in');
    expect((await read('deep/er/../../inside/x')).text).toBe('in');
    expect((await read(`up/${ID}/deep/er/x`)).text).toBe('in');
    for (const path of ['up', 'home', 'sibling', '..', `../${ID}-sibling`, 'deep/../..']) {
      expect(await faultOf(list(path))).toStartWith('escape');
    }
    const outside = ['file', 'home/outside', 'sibling/x', '../../outside', 'inside/../../../../outside', 'up/nothing'];
    for (const path of outside) expect(await faultOf(read(path))).toStartWith('escape');
    expect(await faultOf(files.upload(ID, 'file', {}, look()))).toStartWith('escape');
  });

  test('a hard link is a file of the workspace', async () => {
    writeFileSync(join(root, 'one'), 'x');
    linkSync(join(root, 'one'), join(root, 'two'));
    expect((await read('two')).text).toBe('x');
  });

  test('a workspace that is a link itself is looked at where it leads', async () => {
    const other = newSessionId(1, 1);
    mkdirSync(join(fake.home, 'elsewhere'));
    writeFileSync(join(fake.home, 'elsewhere/x'), 'x');
    symlinkSync(join(fake.home, 'elsewhere'), join(fake.home, 'workspace', other));
    expect((await files.read(other, 'x', 10, look())).text).toBe('x');
    expect(await faultOf(files.read(other, '../x', 10, look()))).toStartWith('escape');
  });

  test('a directory that becomes a link while it is looked at does not lead outside', async () => {
    mkdirSync(join(fake.home, 'loot'));
    writeFileSync(join(fake.home, 'loot/x'), 'LOOT');
    mkdirSync(join(root, 'dir'));
    writeFileSync(join(root, 'dir/x'), 'mine');
    // Swaps a directory and a link as fast as it can.
    const swap = `while :; do mv dir kept && ln -s ../../loot dir; rm -f dir; mv kept dir; done 2>/dev/null`;
    const swapper = Bun.spawn(['sh', '-c', swap], { cwd: root, stdout: 'ignore', stderr: 'ignore' });
    try {
      const seen = new Set<string>();
      for (let round = 0; round < 20; round += 1) {
        const told = await files.read(ID, 'dir/x', 10, look()).then(
          ({ text }) => text ?? '',
          (error: unknown) => (error instanceof WorkspaceFileError ? error.fault : String(error)),
        );
        seen.add(told);
      }
      for (const told of seen) expect(['mine', 'escape', 'not_found', 'not_a_directory']).toContain(told);
    } finally {
      swapper.kill('SIGKILL');
      await swapper.exited;
    }
  });
});

describe('nothing that a caller gives is ever code', () => {
  test('the script is the same for every look; the path travels in the environment', async () => {
    const paths = ['$(touch pwned)', '`touch pwned`', "'; touch pwned; '", 'a\\b', '-rf', '--', '*', 'DIFY_FS_READER'];
    for (const path of paths) {
      writeFileSync(join(root, path), path);
      expect((await read(path)).text).toBe(path);
    }
    const scripts = fake.requests
      .filter(({ path }) => path.endsWith('/run'))
      .map(({ body }) => (body as { script: string }).script); // what our client sends
    expect(new Set(scripts).size).toBe(1);
    expect(existsSync(join(root, 'pwned'))).toBe(false);
    expect(readdirSync(root).sort()).toEqual([...paths].sort());
  });

  test('modules in the workspace are not imported, nor is what its environment asks for', async () => {
    for (const name of ['json', 'os', 'stat', 'heapq', 'base64', 'errno', 'sitecustomize', 'usercustomize', 'codecs']) {
      writeFileSync(join(root, `${name}.py`), 'open("pwned", "w").write("x"); raise SystemExit(3)');
    }
    expect((await list('.')).entries).toHaveLength(9);
    expect(existsSync(join(root, 'pwned'))).toBe(false);
  });

  test('a path longer than any file has is not sent anywhere', async () => {
    expect(await faultOf(read('x/'.repeat(5_000)))).toStartWith('not_found');
    expect(fake.requests).toEqual([]);
    expect(await faultOf(read('y'.repeat(300)))).toStartWith('not_found');
    expect(await faultOf(read(`${'z'.repeat(200)}/`.repeat(20)))).toStartWith('not_found');
    expect(await faultOf(read('\ud800'))).toStartWith('not_found');
  });
});

describe('when it does not work', () => {
  test('a workspace that vanished', async () => {
    fake.loseWorkspaces(ID);
    expect(await faultOf(read('x'))).toStartWith('workspace_not_found: invalid_cwd (400): cwd is not a directory');
  });

  test('without python3', async () => {
    const poor = startFakeShellctl({ env: { PATH: onlyShell(fake.home) } });
    const poorClient = clientFor(poor);
    try {
      mkdirSync(join(poor.home, 'workspace', ID), { recursive: true });
      const poorFiles = createWorkspaceFiles(poorClient, background.track);
      expect(await faultOf(poorFiles.list(ID, '.', look()))).toMatch(
        /^command_failed: sandbox command exited with code 127: '.*python3.*not found'$/s,
      );
    } finally {
      poorClient.close();
      poor.stop();
    }
  });

  test('answers that are none', async () => {
    const said = (output: string, changes: object = {}) => {
      const job = {
        job_id: 'j',
        status: 'exited',
        exit_code: 0,
        done: true,
        output,
        offset: output.length,
        ...changes,
      };
      fake.fault(({ path }) => (path.endsWith('/run') ? { reply: { status: 200, body: JSON.stringify(job) } } : null));
      return faultOf(list('.'));
    };
    const framed = (text: string) => `<<<DIFY_FS_BEGIN>>>${Buffer.from(text).toString('base64')}<<<DIFY_FS_END>>>`;
    const failed = 'command_failed: sandbox command';
    expect(await said('')).toBe(`${failed} returned no framed payload`);
    expect(await said('<<<DIFY_FS_BEGIN>>>e30=')).toBe(`${failed} returned no framed payload`);
    expect(await said(framed('{"entries":'))).toBe(`${failed} returned invalid framed payload`);
    expect(await said(framed('[]'))).toBe(`${failed} returned a non-object payload`);
    expect(await said(framed('null'))).toBe(`${failed} returned a non-object payload`);
    expect(await said(framed('{}'))).toBe(`${failed} returned invalid payload: entries`);
    expect(await said(framed('{"entries":[{}]}'))).toBe(`${failed} returned invalid payload: entry`);
    expect(await said(framed('{"entries":[null]}'))).toBe(`${failed} returned invalid payload: entry`);
    expect(await said(framed('{"error":"odd","message":"why"}'))).toBe(`${failed} failed: why`);
    expect(await said('x'.repeat(500), { exit_code: 3 })).toBe(`${failed} exited with code 3: '${'x'.repeat(200)}'`);
    expect(await said('', { status: 'failed', exit_code: null })).toBe(`${failed} exited with code None: ''`);
  });

  test('a terminal that breaks lines and adds to them', async () => {
    const body = Buffer.from('{"entries":[],"truncated":false}').toString('base64');
    const output = `motd\r\n<<<DIFY_FS_BEGIN>>>\r\n${body.slice(0, 7)}\r\n ${body.slice(7)}\r\n.\r\n<<<DIFY_FS_END>>>\r\nbye`;
    const job = { job_id: 'j', status: 'exited', exit_code: 0, done: true, output, offset: output.length };
    fake.fault(({ path }) => (path.endsWith('/run') ? { reply: { status: 200, body: JSON.stringify(job) } } : null));
    expect(await list('.')).toEqual({ entries: [], truncated: false });
  });

  test('a look that takes too long is ended and leaves no job', async () => {
    const slow = startFakeShellctl({ env: { PATH: `${fake.home}/bin:${PATH}` } });
    const slowClient = clientFor(slow);
    try {
      mkdirSync(join(slow.home, 'workspace', ID), { recursive: true });
      mkdirSync(join(fake.home, 'bin'), { recursive: true });
      writeFileSync(join(fake.home, 'bin/python3'), '#!/bin/sh\nexec sleep 60\n', { mode: 0o755 });
      const slowFiles = createWorkspaceFiles(slowClient, background.track);
      expect(await faultOf(slowFiles.list(ID, '.', look({ timeoutMs: 300 })))).toBe(
        'command_failed: sandbox command did not complete (timeout)',
      );
      await background.settle(10_000);
      expect(slow.jobIds()).toEqual([]);
    } finally {
      slowClient.close();
      slow.stop();
    }
  });

  test('more than may be kept of all looks together is refused, and leaves no job and no memory', async () => {
    writeFileSync(join(root, 'large'), Buffer.alloc(300_000, 'x'));
    writeFileSync(join(root, 'small'), 'y');
    const few = createWorkspaceFiles(client, background.track, 200_000);
    const refusal = 'command_failed: too many sandbox files are being read at once; try again later';
    for (let i = 0; i < 2; i++) {
      expect(await faultOf(few.download(ID, 'large', 1_000_000, look()))).toBe(refusal);
      expect((await few.read(ID, 'small', 100, look())).text).toBe('y');
    }
    await background.settle(10_000);
    expect(fake.jobIds()).toEqual([]);
  });

  test('a shellctl that hangs', async () => {
    fake.fault(() => 'hang');
    expect(await errorOf(files.list(ID, '.', look({ timeoutMs: 50 })))).toMatchObject({ code: 'timeout' });
  });

  test('a caller that goes away ends its job', async () => {
    Bun.spawnSync(['mkfifo', join(root, 'never')]);
    const caller = new AbortController();
    mkdirSync(join(fake.home, 'slowly'), { recursive: true });
    writeFileSync(join(root, 'f'), '');
    // The tool that uploads waits for ever.
    const env = { PATH: `${fake.home}/slowly:${PATH}` };
    writeFileSync(join(fake.home, 'slowly/dify-agent'), `#!/bin/sh\ntouch "${root}/begun"\nexec sleep 60\n`, {
      mode: 0o755,
    });
    const looking = files.upload(ID, 'f', env, look({ signal: caller.signal }));
    looking.catch(() => {});
    await until('the upload to have begun', () => existsSync(join(root, 'begun')));
    caller.abort(new Error('the caller is gone'));
    await expect(looking).rejects.toThrow('the caller is gone');
    await background.settle(10_000);
    expect(fake.jobIds()).toEqual([]);
  });

  test('a caller that has gone already asks nothing', async () => {
    const signal = AbortSignal.abort(new Error('gone'));
    await expect(files.list(ID, '.', look({ signal }))).rejects.toThrow('gone');
    expect(fake.requests).toEqual([]);
  });
});

describe('uploading', () => {
  /** Puts a `dify-agent` on the PATH of jobs. */
  function tool(script: string): Readonly<Record<string, string>> {
    mkdirSync(join(fake.home, 'tool'), { recursive: true });
    writeFileSync(join(fake.home, 'tool/dify-agent'), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
    return { PATH: `${fake.home}/tool:${PATH}`, DIFY_AGENT_STUB_AUTH_JWE: 'the-token' };
  }
  const upload = (script: string, path = 'a b.txt') => files.upload(ID, path, tool(script), look());

  beforeEach(() => writeFileSync(join(root, 'a b.txt'), 'x'));

  test('the sandbox does it, with the environment that it is given; three members come back', async () => {
    const mapping =
      '{"transfer_method":"tool_file","reference":"dify-file-ref:e30=","download_url":"https://x/y","id":1}';
    const found = await upload(
      `printf '%s\\n' "$*" "$DIFY_AGENT_STUB_AUTH_JWE" "$SEEN" >said; echo noise >&2; echo '${mapping}'`,
    );
    expect(found).toEqual({
      transfer_method: 'tool_file',
      reference: 'dify-file-ref:e30=',
      download_url: 'https://x/y',
    });
    expect(readFileSync(join(root, 'said'), 'utf8')).toBe(`file upload ${root}/a b.txt\nthe-token\ninherited\n`);
  });

  test('a server of the first vintage has no URL to tell', async () => {
    const found = await upload(`echo '{"transfer_method":"tool_file","reference":"r"}'`);
    expect(found).toEqual({ transfer_method: 'tool_file', reference: 'r' });
  });

  test('what goes wrong there is told', async () => {
    const of = (script: string, path?: string) => faultOf(upload(script, path));
    expect(await of('echo out; echo "no luck" >&2; exit 1')).toBe('upload_failed: no luck');
    expect(await of('echo out; exit 2')).toBe('upload_failed: out');
    expect(await of('exit 7')).toBe('upload_failed: upload exited with code 7');
    expect(await of('kill -9 $$')).toBe('upload_failed: upload exited with code -9');
    expect(await of('echo "{}"')).toBe('upload_failed: upload returned invalid JSON: {}');
    expect(await of('echo oops')).toBe('upload_failed: upload returned invalid JSON: oops');
    expect(await of('echo "[1]"')).toBe('upload_failed: upload returned invalid JSON: [1]');
    expect(await of('head -c 300000 /dev/zero | tr "\\0" e >&2; exit 1')).toBe(`upload_failed: ${'e'.repeat(2_000)}`);
    mkdirSync(join(root, 'dir'));
    expect(await of('echo "{}"', 'dir')).toStartWith('is_a_directory');
    expect(await of('echo "{}"', 'nothing')).toStartWith('not_found');
  });

  test('without the tool', async () => {
    const bare = onlyShell(fake.home);
    symlinkSync(join(PATH.split(':')[0] ?? '', 'python3'), join(bare, 'python3'));
    const looking = files.upload(ID, 'a b.txt', { PATH: bare }, look());
    expect(await faultOf(looking)).toBe('upload_failed: dify-agent: No such file or directory');
  });
});
