// Where the library runs: the core needs nothing that only Bun (or only a server) has, and works in Node.

import { expect, test } from 'bun:test';
import { join } from 'node:path';
import { withFolder } from '../support/server.ts';

const SESSIONS = new URL('../../src/sessions/', import.meta.url).pathname;

/** One file of an entry and all that it imports. A module of Bun's or Node's is left as an import. */
async function bundled(entry: string): Promise<string> {
  const built = await Bun.build({ entrypoints: [join(SESSIONS, entry)], target: 'node', format: 'esm', minify: true });
  return (await built.outputs[0]?.text()) ?? '';
}

/** Modules that are imported when the file is. */
function importsOf(code: string): readonly string[] {
  return new Bun.Transpiler({ loader: 'js' })
    .scanImports(code)
    .flatMap(({ kind, path }) => (kind === 'import-statement' ? [path] : []));
}

test.each(['index.ts', 'redis.ts', 'sqlite.ts'])('%s imports nothing that a platform must have', async (entry) => {
  const code = await bundled(entry);
  expect(importsOf(code)).toEqual([]);
  expect(code).not.toMatch(/\bBun\./);
});

test('the core is small enough for a page: under 12 KB gzipped', async () => {
  const bytes = Bun.gzipSync(new TextEncoder().encode(await bundled('index.ts')));
  expect(bytes.length).toBeLessThan(12 * 1024);
});

test('a session in Node: two turns and the end', () =>
  withFolder(async (folder) => {
    await Bun.write(join(folder, 'sessions.mjs'), await bundled('index.ts'));
    await Bun.write(
      join(folder, 'main.mjs'),
      `import { AgentSessions, memorySessionStore } from './sessions.mjs';
      let runs = 0;
      const client = {
        createRun: async (request) => { client.last = request; return { run_id: 'run-' + ++runs, status: 'running' }; },
        getRun: async (run_id) => ({ run_id, status: 'succeeded' }),
        waitRun: async (run_id) => ({ run_id, status: 'succeeded', error: null }),
        cancelRun: async () => { throw new Error('not needed'); },
        async *streamEvents(run_id) {
          const layers = [{ name: 'history', lifecycle_state: 'suspended', runtime_state: { messages: [run_id] } }];
          yield { id: '1-0', run_id, type: 'run_succeeded', data: { output: run_id, session_snapshot: { schema_version: 1, layers } } };
        },
      };
      const sessions = new AgentSessions({ client, store: memorySessionStore() });
      const scope = { tenant: 't', ownerKind: 'conversation', ownerId: 'c', slot: 's' };
      const build = () => ({ composition: { layers: [{ name: 'history', type: 'pydantic_ai.history' }] } });
      const results = [await sessions.run(scope, build), await sessions.run(scope, build)];
      const resumed = client.last.session_snapshot.layers[0].runtime_state.messages;
      console.log(JSON.stringify([results.map(({ output, persisted }) => [output, persisted]), resumed, await sessions.end(scope)]));`,
    );
    const node = Bun.spawn(['node', join(folder, 'main.mjs')], { stdout: 'pipe', stderr: 'pipe' });
    const [out, err] = await Promise.all([new Response(node.stdout).text(), new Response(node.stderr).text()]);
    expect(err).toBe('');
    expect(JSON.parse(out)).toEqual([
      [
        ['run-1', true],
        ['run-2', true],
      ],
      ['run-1'],
      { cleaned: 1, failed: [] },
    ]);
    // The process ended by itself: no timer was left.
    expect(await node.exited).toBe(0);
  }));
