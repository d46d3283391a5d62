// What the commands ask of the real stub, print and leave on the disk (spec 05 §8). Behind the stub is the fake Dify API.

import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { htmlPage, jsonError, referenceOf } from '../fakes/dify-api.ts';
import { type SandboxWorld, startSandboxWorld } from './kit.ts';
import { zipOf } from './zip.ts';

let world: SandboxWorld;
beforeAll(async () => {
  world = await startSandboxWorld();
});
afterAll(() => world.stop());
beforeEach(() => {
  expect(world.api.violations).toEqual([]);
  world.reset();
});

const run = (...args: readonly string[]) => world.run(...args);
const at = (path: string) => join(world.cwd, path);
const text = (path: string) => readFileSync(at(path), 'utf8');
const bytes = (content: string) => new TextEncoder().encode(content);
const ok = (stdout: string) => ({ code: 0, stdout, stderr: '' });
const failed = (stderr: string) => ({ code: 1, stdout: '', stderr: `${stderr}\n` });

function file(filename: string, content: string, mimetype: string | null = 'text/plain') {
  return world.api.state.addFile({ tenantId: 't-1', filename, mimetype, bytes: bytes(content) });
}

describe('connect', () => {
  const ID = /^[0-9a-f-]{36}$/;

  test('prints the id, or the answer', async () => {
    const { code, stdout } = await run('connect', 'ls', '-l', '--color');
    expect(code).toBe(0);
    expect(stdout).toStartWith('connected ');
    expect(stdout.trim().split(' ')[1]).toMatch(ID);
    const json = JSON.parse((await run('connect', '--json', '--', 'ls')).stdout);
    expect(json).toEqual({ connection_id: expect.stringMatching(ID), status: 'connected' });
    expect((await run('connect')).code).toBe(0);
    expect((await run('connect', '--', '--json')).stdout).toStartWith('connected ');
  });

  test('so does any word that is no command, with or without --json', async () => {
    expect((await run('git', 'status')).stdout).toStartWith('connected ');
    expect(JSON.parse((await run('--json', 'git')).stdout)).toHaveProperty('connection_id');
    expect((await run('--', 'file', 'upload')).stdout).toStartWith('connected ');
  });
});

describe('file upload', () => {
  test('prints the mapping with a link', async () => {
    writeFileSync(at('a b.csv'), 'x,y\n');
    const { code, stdout, stderr } = await run('file', 'upload', 'a b.csv');
    expect([code, stderr]).toEqual([0, '']);
    const mapping = JSON.parse(stdout);
    expect(Object.keys(mapping)).toEqual(['transfer_method', 'reference', 'download_url']);
    const [stored] = [...world.api.state.files.values()];
    expect(stored).toMatchObject({ tenantId: 't-1', filename: 'a b.csv', mimetype: 'text/csv' });
    expect(mapping).toMatchObject({ transfer_method: 'tool_file', reference: referenceOf(stored?.id ?? '') });
    expect(await (await fetch(mapping.download_url)).text()).toBe('x,y\n');
  });

  test('a file that is there without a link is still uploaded', async () => {
    writeFileSync(at('f'), 'x');
    const uploaded = { url: world.api.state.sign('/files/upload/for-plugin', { tenant_id: 't-1', user_id: 'u-1' }) };
    world.api.misbehave(jsonError(200, { data: uploaded, error: '' }), jsonError(500, { detail: 'no links today' }));
    const { code, stdout, stderr } = await run('file', 'upload', 'f');
    expect(code).toBe(0);
    expect(Object.keys(JSON.parse(stdout))).toEqual(['transfer_method', 'reference']);
    expect(stderr).toBe('Agent Stub file download request failed (HTTP 500): no links today\n');
  });

  test('what goes wrong is one line, and exit code 1', async () => {
    expect(await run('file', 'upload', 'nothing')).toEqual(failed(`file not found: ${at('nothing')}`));
    writeFileSync(at('f'), 'x');
    world.api.misbehave(jsonError(403, { detail: 'not\n\x1b[31mallowed' }));
    expect(await run('file', 'upload', 'f')).toEqual(
      failed('Agent Stub file upload request failed (HTTP 403): not [31mallowed'),
    );
    world.api.misbehave(htmlPage(404));
    expect(await run('file', 'upload', 'f')).toEqual(
      failed('Agent Stub file upload request failed (HTTP 502): Dify API file request returned invalid JSON'),
    );
  });
});

describe('file download', () => {
  test('by method and reference, by URL, by mapping; into a directory', async () => {
    const stored = file('report.pdf', 'PDF');
    const reference = referenceOf(stored.id);
    expect(await run('file', 'download', 'tool_file', reference)).toEqual(ok(`${at('report.pdf')}\n`));
    expect(await run('file', 'download', 'tool_file', reference, 'in/here')).toEqual(
      ok(`${at('in/here/report.pdf')}\n`),
    );
    expect(await run('file', 'download', 'tool_file', reference, '--to', 'there')).toEqual(
      ok(`${at('there/report.pdf')}\n`),
    );
    const mapping = JSON.stringify({ transfer_method: 'tool_file', reference, more: 1 });
    expect(await run('file', 'download', '--mapping', mapping)).toEqual(ok(`${at('report (1).pdf')}\n`));
    expect(await run('file', 'download', '--mapping', mapping, '--to', 'there')).toEqual(
      ok(`${at('there/report (1).pdf')}\n`),
    );
    const url = world.api.state.sign(`/files/tools/${stored.id}`, {});
    expect((await run('file', 'download', 'remote_url', url)).code).toBe(0);
    expect(text('report (1).pdf')).toBe('PDF');
    // The sandbox fetches it itself.
    const asked = world.api.requests.at(-2)?.body;
    expect(asked).toMatchObject({ for_external: false });
  });

  test('names of the server are names, not paths', async () => {
    for (const [filename, name] of [
      ['../../../etc/passwd', 'passwd'],
      ['..', 'download.bin'],
      ['a/b\\c.txt', 'c.txt'],
      ['', 'download (1).bin'],
    ] as const) {
      const { id } = file(filename, 'x');
      expect(await run('file', 'download', 'tool_file', referenceOf(id))).toEqual(ok(`${at(name)}\n`));
    }
    const { id } = file('a.tar.gz', 'x');
    await run('file', 'download', 'tool_file', referenceOf(id));
    expect((await run('file', 'download', 'tool_file', referenceOf(id))).stdout).toBe(`${at('a (1).tar.gz')}\n`);
  });

  test('what is not there, or of somebody else', async () => {
    expect(await run('file', 'download', 'tool_file', referenceOf('nobody'))).toEqual(
      failed('Agent Stub file download request failed (HTTP 400): file not found'),
    );
    const { stderr, code } = await run('file', 'download', 'tool_file', 'no-reference');
    expect(code).toBe(1);
    expect(stderr).toContain('reference must be a canonical Dify file reference');
    expect(readdirSync(world.cwd)).toEqual([]);
  });

  test('words that are not understood are exit code 2', async () => {
    for (const words of [
      [],
      ['tool_file'],
      ['pigeon', 'x'],
      ['tool_file', 'x', 'y', 'z'],
      ['--mapping', '{'],
      ['--mapping', '[]'],
      ['--mapping', '{}'],
      ['--mapping', '{"transfer_method":"tool_file","url":"x"}'],
      ['--nonsense', 'x'],
    ]) {
      const { code, stdout, stderr } = await run('file', 'download', ...words);
      expect([code, stdout]).toEqual([2, '']);
      expect(stderr.split('\n')).toHaveLength(2);
    }
  });
});

describe('config', () => {
  const skill = () =>
    zipOf([
      { name: 'SKILL.md', data: '# hello' },
      { name: 'lib/run.py', data: 'print()', deflate: true },
    ]);

  function configure() {
    const config = world.api.state.addConfig('a-1');
    config.skills.set('greeter', skill());
    config.files.set('notes.txt', bytes('some notes'));
    config.files.set('ü ?#%.txt', bytes('odd'));
    config.envText = 'REGION=eu\nTOKEN=\n';
    config.note = 'Remember.\n';
    return config;
  }

  test('manifest', async () => {
    configure();
    const { code, stdout } = await run('config', 'manifest');
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ agent_id: 'a-1', env_keys: ['REGION', 'TOKEN'], note: 'Remember.\n' });
    expect(stdout.endsWith('}\n')).toBe(true);
  });

  test('skill pull: all or by name, unpacked beside its archive, in place of what was there', async () => {
    configure();
    mkdirSync(at('.dify_conf/skills/greeter'), { recursive: true });
    writeFileSync(at('.dify_conf/skills/greeter/stale'), 'x');
    expect(await run('config', 'skill', 'pull')).toEqual(ok(`${at('.dify_conf/skills/greeter')}\n`));
    expect(text('.dify_conf/skills/greeter/SKILL.md')).toBe('# hello');
    expect(text('.dify_conf/skills/greeter/lib/run.py')).toBe('print()');
    expect(readdirSync(at('.dify_conf/skills'))).toEqual(['greeter']);
    expect(readdirSync(at('.dify_conf/skills/greeter')).sort()).toEqual(['.DIFY-SKILL-FULL.zip', 'SKILL.md', 'lib']);
    const { stdout } = await run('config', 'skill', 'pull', 'greeter', '--to', 'x', '--json');
    expect(JSON.parse(stdout)).toEqual({
      items: [
        {
          name: 'greeter',
          archive_path: at('x/greeter/.DIFY-SKILL-FULL.zip'),
          directory_path: at('x/greeter'),
          skill_md: at('x/greeter/SKILL.md'),
        },
      ],
    });
    expect(existsSync(at('x/greeter/.DIFY-SKILL-FULL.zip'))).toBe(true);
  });

  test('a skill that cannot be had or unpacked leaves the one that is there', async () => {
    const config = configure();
    mkdirSync(at('.dify_conf/skills/greeter'), { recursive: true });
    writeFileSync(at('.dify_conf/skills/greeter/SKILL.md'), 'old');
    config.skills.set('greeter', zipOf([{ name: '../../escape', data: 'x' }]));
    expect(await run('config', 'skill', 'pull')).toEqual(
      failed('the archive cannot be unpacked: invalid relative path: ../../escape'),
    );
    expect((await run('config', 'skill', 'pull', 'nobody')).code).toBe(1);
    expect(text('.dify_conf/skills/greeter/SKILL.md')).toBe('old');
    expect(readdirSync(at('.dify_conf/skills'))).toEqual(['greeter']);
    expect(readdirSync(at('.dify_conf'))).toEqual(['skills']);
  });

  test('file pull: names with anything in them, but no paths', async () => {
    configure();
    const { stdout } = await run('config', 'file', 'pull', '--json');
    expect(JSON.parse(stdout)).toEqual({
      items: [
        { name: 'notes.txt', path: at('.dify_conf/files/notes.txt') },
        { name: 'ü ?#%.txt', path: at('.dify_conf/files/ü ?#%.txt') },
      ],
    });
    expect(text('.dify_conf/files/ü ?#%.txt')).toBe('odd');
    expect(await run('config', 'file', 'pull', 'notes.txt', 'notes.txt', '--to', '.')).toEqual(
      ok(`${at('notes.txt')}\n`),
    );
    for (const name of ['../x', 'a/b', '..', '.', '', 'a\0b']) {
      expect(await run('config', 'file', 'pull', '--', name)).toEqual(
        failed(`not a safe name: ${JSON.stringify(name)}`),
      );
    }
    const { code, stderr } = await run('config', 'file', 'pull', 'nobody');
    expect(code).toBe(1);
    expect(stderr).toContain('404');
  });

  test('env pull: the names are the manifest’s, the values this process’s; nobody else may read them', async () => {
    configure();
    const env = { ...world.env, REGION: 'eu', TOKEN: 'a "b"\n$c\\' };
    expect(await world.runWith({ env }, 'config', 'env', 'pull')).toEqual(ok(`${at('.dify_conf/.env')}\n`));
    expect(text('.dify_conf/.env')).toBe('REGION=eu\nTOKEN="a \\"b\\"\\n\\$c\\\\"\n');
    expect(statSync(at('.dify_conf/.env')).mode & 0o777).toBe(0o600);
    expect(await world.runWith({ env: { ...world.env, REGION: 'eu' } }, 'config', 'env', 'pull')).toEqual(
      failed('environment variables are not set: TOKEN'),
    );
    const config = configure();
    config.envText = 'A B=1';
    expect(await run('config', 'env', 'pull')).toEqual(failed('not a variable\'s name: "A B"'));
  });

  test('note pull', async () => {
    configure();
    expect(await run('config', 'note', 'pull')).toEqual(ok(`${at('.dify_conf/note.md')}\n`));
    expect(await run('config', 'note', 'pull', '--to', 'n.md')).toEqual(ok(`${at('n.md')}\n`));
    expect(text('n.md')).toBe('Remember.\n');
  });

  test('push: uploads what is named and prints the new manifest', async () => {
    const config = configure();
    mkdirSync(at('skills/poet'), { recursive: true });
    writeFileSync(at('skills/poet/SKILL.md'), '# poet');
    writeFileSync(at('data.csv'), '1,2');
    writeFileSync(at('.env'), 'A=1\n');
    writeFileSync(at('note.md'), 'new note');
    writeFileSync(at('packed.zip'), skill());
    const specification = {
      files: ['data.csv', { name: 'renamed.csv', path: 'data.csv' }, { name: 'notes.txt' }],
      skills: ['skills/poet', 'packed.zip', { name: 'greeter' }],
      env: '.env',
      note: 'note.md',
    };
    const { code, stdout, stderr } = await world.runWith({ input: JSON.stringify(specification) }, 'config', 'push');
    expect([code, stderr]).toEqual([0, '']);
    expect(JSON.parse(stdout)).toMatchObject({ agent_id: 'a-1', env_keys: ['A'], note: 'new note' });
    expect([...config.files.keys()].sort()).toEqual(['data.csv', 'renamed.csv', 'ü ?#%.txt'].sort());
    expect([...config.skills.keys()].sort()).toEqual(['packed', 'poet']);
    expect((await run('config', 'skill', 'pull', 'poet')).code).toBe(0);
    expect(text('.dify_conf/skills/poet/SKILL.md')).toBe('# poet');

    writeFileSync(at('spec.json'), JSON.stringify({ note: 'note.md' }));
    expect((await run('config', 'push', '--from', 'spec.json')).code).toBe(0);
  });

  test('push: specifications that are none change nothing', async () => {
    const pushes = () => world.api.requests.filter(({ path }) => path.endsWith('/push')).length;
    const before = pushes();
    configure();
    writeFileSync(at('f'), 'x');
    symlinkSync('f', at('link'));
    mkdirSync(at('skill'));
    symlinkSync('/etc/passwd', at('skill/link'));
    const push = (specification: unknown) =>
      world.runWith(
        { input: typeof specification === 'string' ? specification : JSON.stringify(specification) },
        'config',
        'push',
      );
    for (const specification of [
      '',
      '[]',
      'x',
      { more: 1 },
      { files: 'f' },
      { files: [1] },
      { files: [{}] },
      { files: [''] },
    ]) {
      expect((await push(specification)).code).toBe(2);
    }
    for (const specification of [
      { files: ['nothing'] },
      { files: [{ name: '../x', path: 'f' }] },
      { files: [{ name: 'a/b' }] },
      { skills: ['skill'] },
      { note: 'nothing' },
      { env: '.' },
    ]) {
      expect((await push(specification)).code).toBe(1);
    }
    expect((await push('x'.repeat(1024 * 1024 + 1))).stderr).toContain('larger than 1048576 bytes');
    expect(pushes()).toBe(before);
  });
});

describe('drive', () => {
  const put = (key: string, content: string, isSkill = false) => {
    const items = world.api.state.drives.get('agent-a-1') ?? new Map();
    items.set(key, { key, fileId: file(key.split('/').at(-1) ?? '', content).id, isSkill });
    world.api.state.drives.set('agent-a-1', items);
  };

  test('list', async () => {
    put('files/a.txt', 'hello');
    put('poet/SKILL.md', '# poet', true);
    const { stdout } = await run('drive', 'list');
    const hash = new Bun.CryptoHasher('sha256').update('hello').digest('hex');
    expect(stdout.split('\n')[0]).toBe(`5\ttext/plain\t${hash}\tfiles/a.txt`);
    expect(stdout.trim().split('\n')).toHaveLength(2);
    const { items } = JSON.parse((await run('drive', 'list', 'poet/', '--json')).stdout);
    expect(items).toMatchObject([{ key: 'poet/SKILL.md', is_skill: true }]);
    expect(await run('drive', 'list', 'nothing')).toEqual(ok(''));
  });

  test('list shows what is not known as a dash', async () => {
    put('x', 'x');
    world.api.state.files.clear();
    expect(await run('drive', 'list')).toEqual(ok('-\t-\t-\tx\n'));
  });

  test('pull: everything, or what was named, below the base', async () => {
    for (let i = 0; i < 9; i += 1) put(`files/${i}.txt`, `file ${i}`);
    put('poet/SKILL.md', '# mine', true);
    put('poet/.DIFY-SKILL-FULL.zip', '');
    const archive = world.api.state.addFile({
      tenantId: 't-1',
      filename: 'x.zip',
      mimetype: 'application/zip',
      bytes: zipOf([
        { name: 'SKILL.md', data: '# archived' },
        { name: 'lib/x', data: 'lib' },
      ]),
    });
    const key = 'poet/.DIFY-SKILL-FULL.zip';
    world.api.state.drives.get('agent-a-1')?.set(key, { key, fileId: archive.id, isSkill: false });

    const { code, stdout } = await run('drive', 'pull', '--to', 'drive');
    expect(code).toBe(0);
    expect(stdout.trim().split('\n')).toHaveLength(11);
    expect(text('drive/files/7.txt')).toBe('file 7');
    expect(text('drive/poet/SKILL.md')).toBe('# mine');
    expect(text('drive/poet/lib/x')).toBe('lib');

    const env = { ...world.env, DIFY_AGENT_STUB_DRIVE_BASE: at('base') };
    const named = await world.runWith({ env }, 'drive', 'pull', 'files/3.txt', 'poet/', 'files', '--json');
    expect(JSON.parse(named.stdout).items).toHaveLength(11);
    expect(readdirSync(at('base')).sort()).toEqual(['files', 'poet']);
    const early = await run('drive', 'pull', 'files/3.txt', '--drive-base', 'early');
    expect(early).toEqual(ok(`${at('early/files/3.txt')}\n`));
    // An archive without a SKILL.md beside it brings its own.
    world.api.state.drives.get('agent-a-1')?.delete('poet/SKILL.md');
    await run('drive', 'pull', 'poet', '--to', 'alone');
    expect(text('alone/poet/SKILL.md')).toBe('# archived');
  });

  test('pull: a key that is a prefix of another name is not it', async () => {
    put('files/a', 'a');
    put('files/ab', 'ab');
    expect((await run('drive', 'pull', 'files/a', '--to', 'x')).stdout).toBe(`${at('x/files/a')}\n`);
    expect(await run('drive', 'pull', 'file', '--to', 'x')).toEqual(failed('nothing in the drive under file'));
  });

  test('pull: keys and links that lead outside, sizes that are not true', async () => {
    for (const key of ['../evil', '/etc/evil', 'a/../../evil', 'a\\b', 'a//b']) {
      put(key, 'x');
      expect(await run('drive', 'pull', '--to', 'd')).toEqual(
        failed(`drive key resolves outside the drive base: ${JSON.stringify(key)}`),
      );
      world.api.state.drives.clear();
    }
    put('dir/x', 'x');
    mkdirSync(at('d'), { recursive: true });
    mkdirSync(at('elsewhere'));
    symlinkSync('../elsewhere', at('d/dir'));
    expect((await run('drive', 'pull', '--to', 'd')).stderr).toContain('leads outside');
    expect(readdirSync(at('elsewhere'))).toEqual([]);
    world.api.misbehave(
      jsonError(200, {
        items: [{ key: 'y', size: 99, download_url: world.api.state.sign(`/files/tools/${file('y', 'y').id}`, {}) }],
      }),
    );
    expect((await run('drive', 'pull', '--to', 'd')).stderr).toContain('size mismatch');
    world.api.misbehave(jsonError(200, { items: [{ key: 'z', size: 1, download_url: 'file:///etc/passwd' }] }));
    expect((await run('drive', 'pull', '--to', 'd')).stderr).toContain('not an http or https URL');
    expect(existsSync(at('d/y'))).toBe(false);
  });

  test('pull: one that fails ends the others, and nothing half-written is left', async () => {
    for (let i = 0; i < 20; i += 1) put(`f/${i}`, 'x'.repeat(1000));
    const [first] = [...world.api.state.files.keys()];
    world.api.state.files.delete(first ?? '');
    const { code, stderr } = await run('drive', 'pull', '--to', 'd');
    expect([code, stderr.trim().split('\n').length]).toEqual([1, 1]);
    const left = existsSync(at('d/f')) ? readdirSync(at('d/f')) : [];
    expect(left.filter((name) => name.endsWith('.part'))).toEqual([]);
  });

  test('push: a file, a directory, a skill', async () => {
    writeFileSync(at('a.txt'), 'hello');
    const one = await run('drive', 'push', 'a.txt', 'files/a.txt');
    expect(JSON.parse(one.stdout).items).toMatchObject([{ key: 'files/a.txt', size: 5 }]);

    mkdirSync(at('dir/sub'), { recursive: true });
    mkdirSync(at('dir/.git'));
    writeFileSync(at('dir/x'), 'x');
    writeFileSync(at('dir/sub/y'), 'y');
    writeFileSync(at('dir/.git/z'), 'z');
    for (const flag of [['--recursive'], ['--kind', 'dir']]) {
      const { stdout } = await run('drive', 'push', 'dir', 'stuff/', ...flag);
      expect(JSON.parse(stdout).items.map(({ key }: { key: string }) => key)).toEqual(['stuff/sub/y', 'stuff/x']);
    }

    mkdirSync(at('poet'));
    writeFileSync(at('poet/SKILL.md'), '---\nname: "Poet"\ndescription: writes\n---\n# hi');
    writeFileSync(at('poet/rhymes'), 'r');
    const skill = await run('drive', 'push', 'poet', 'poet');
    expect(skill.code).toBe(0);
    const commit = world.api.requests.at(-1)?.body;
    expect(commit).toMatchObject({
      items: [
        { key: 'poet/SKILL.md', is_skill: true, skill_metadata: { name: 'Poet', description: 'writes' } },
        { key: 'poet/.DIFY-SKILL-FULL.zip' },
      ],
    });
    await run('drive', 'pull', 'poet', '--to', 'back');
    expect(text('back/poet/rhymes')).toBe('r');
  });

  test('push: what is refused', async () => {
    writeFileSync(at('f'), 'x');
    symlinkSync('f', at('link'));
    mkdirSync(at('dir'));
    symlinkSync('../f', at('dir/link'));
    mkdirSync(at('empty'));
    const of = async (...words: readonly string[]) => (await run('drive', 'push', ...words)).code;
    expect(await of('link', 'x')).toBe(1);
    expect(await of('dir', 'x', '--recursive')).toBe(1);
    expect(await of('nothing', 'x')).toBe(1);
    expect(await of('empty', 'x', '--kind', 'skill')).toBe(1);
    expect(await of('empty', 'x')).toBe(2);
    expect(await of('f', '../x')).toBe(2);
    expect(await of('f', '/x')).toBe(2);
    expect(await of('f', '')).toBe(2);
    expect(await of('f')).toBe(2);
    expect(await of('f', 'x', '--kind', 'dir')).toBe(2);
    expect(await of('empty', 'x', '--kind', 'pigeon')).toBe(2);
    expect(world.api.state.files.size).toBe(0);
  });
});
