// Making and removing workspaces, vectors (g) and (i) of spec 04 §6 among them.

import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { chmodSync, existsSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import type { ShellctlClient } from '../../src/peers/shellctl/port.ts';
import { createBackgroundWork } from '../../src/workspaces/background.ts';
import { createWorkspace, removeWorkspace, type SessionIdSource } from '../../src/workspaces/directory.ts';
import { removeJobs } from '../../src/workspaces/remove.ts';
import { newSessionId } from '../../src/workspaces/session.ts';
import { type FakeShellctl, startFakeShellctl } from '../fakes/shellctl.ts';
import { clientFor, errorOf, job, quietCall } from '../peers/shellctl/kit.ts';

let fake: FakeShellctl;
let client: ShellctlClient;
beforeEach(() => {
  fake = startFakeShellctl();
  client = clientFor(fake);
});
afterEach(() => {
  client.close();
  fake.stop();
});

/** Ids 0000100, 0000101, … */
function counting(): SessionIdSource {
  let byte = 0;
  return { nowSeconds: () => 1, randomByte: () => byte++ };
}

describe('making a workspace', () => {
  test('makes its directory and leaves no job', async () => {
    const id = await createWorkspace(client, counting(), quietCall());
    expect(id).toBe(newSessionId(1, 0));
    expect(readdirSync(`${fake.home}/workspace`)).toEqual(['0000100']);
    expect(fake.jobIds()).toEqual([]);
    expect(fake.requests[0]?.body).not.toHaveProperty('cwd');
    expect(fake.requests[0]?.body).not.toHaveProperty('env');
  });

  test('(g) takes the third id when two are taken, by whatever', async () => {
    mkdirSync(`${fake.home}/workspace/0000100`, { recursive: true });
    symlinkSync('/nowhere', `${fake.home}/workspace/0000101`);
    const id = await createWorkspace(client, counting(), quietCall());
    expect(id).toBe(newSessionId(1, 2));
    expect(existsSync(`${fake.home}/workspace/0000102`)).toBe(true);
  });

  test('gives up after 256 ids', async () => {
    const taken = { status: 200, body: '{"job_id":"j","status":"exited","exit_code":17,"done":true}' };
    fake.fault(({ path }) => (path.endsWith('/run') ? { reply: taken } : null));
    await expect(createWorkspace(client, counting(), quietCall())).rejects.toThrow(
      'Failed to allocate a unique shell workspace session id after 256 attempts.',
    );
    expect(fake.requests.filter(({ path }) => path.endsWith('/run'))).toHaveLength(256);
  });

  test('that is aborted at any moment leaves neither directory nor job, and what others have', async () => {
    mkdirSync(`${fake.home}/workspace/0000100`, { recursive: true });
    const ids = counting();
    for (let ms = 0; ms < 60; ms += 3) {
      const background = createBackgroundWork();
      const controller = new AbortController();
      const making = createWorkspace(
        client,
        ms % 2 === 0 ? ids : counting(),
        { signal: controller.signal, owner: 1 },
        { background: background.track },
      );
      const timer = setTimeout(() => controller.abort(new Error('gone')), ms);
      const id = await making.catch(() => null);
      clearTimeout(timer);
      await background.settle(10_000);
      expect(background.pending).toBe(0);
      expect(readdirSync(`${fake.home}/workspace`).sort()).toEqual(['0000100', ...(id === null ? [] : [id])]);
      expect(fake.jobIds()).toEqual([]);
      if (id !== null) await removeWorkspace(client, id, quietCall());
    }
  });

  test('says how it failed', async () => {
    writeFileSync(`${fake.home}/workspace`, 'a file');
    await expect(createWorkspace(client, counting(), quietCall())).rejects.toMatchObject({
      code: 'workspace_creation_failed',
      message: 'Failed to create shell workspace ~/workspace/0000100: exited exit_code=1',
    });
  });
});

describe('removing a workspace', () => {
  const id = newSessionId(1, 0);

  test('removes what is in it, read-only directories too, and nothing else', async () => {
    await createWorkspace(client, counting(), quietCall());
    const dir = `${fake.home}/workspace/0000100`;
    mkdirSync(`${dir}/mod/cache`, { recursive: true });
    writeFileSync(`${dir}/mod/cache/x`, 'x');
    writeFileSync(`${fake.home}/kept`, 'x');
    symlinkSync(fake.home, `${dir}/out`);
    chmodSync(`${dir}/mod/cache`, 0o500);
    await removeWorkspace(client, id, quietCall());
    expect(existsSync(dir)).toBe(false);
    expect(existsSync(`${fake.home}/kept`)).toBe(true);
    expect(fake.jobIds()).toEqual([]);
  });

  test('that is gone is fine', async () => {
    await removeWorkspace(client, id, quietCall());
    await removeWorkspace(client, id, quietCall());
  });

  test('that cannot be removed says so', async () => {
    fake.fault(({ path }) =>
      path.endsWith('/run')
        ? { reply: { status: 200, body: '{"job_id":"j","status":"exited","exit_code":1,"done":true}' } }
        : null,
    );
    await expect(removeWorkspace(client, id, quietCall())).rejects.toMatchObject({
      code: 'workspace_removal_failed',
      message: 'Failed to remove shell workspace ~/workspace/0000100: exited exit_code=1',
    });
  });

  test('(i) and its jobs: first the directory, then the jobs, all at once', async () => {
    const jobs = await Promise.all(
      [1, 2, 3].map(() => client.run(job('sleep 60', { timeoutSeconds: 0.1 }), quietCall())),
    );
    fake.forgetRequests();
    await removeWorkspace(client, id, quietCall());
    const ids = [...jobs.map(({ job_id }) => job_id), 'gone-1', 'gone-2'];
    expect(await removeJobs(client, ids, quietCall())).toEqual([]);
    expect(fake.jobIds()).toEqual([]);
    const [first, ...rest] = fake.requests;
    expect(first?.body).toMatchObject({ script: expect.stringContaining('rm -rf -- "$HOME/workspace/0000100"') });
    expect(rest.every(({ method, query }) => method === 'DELETE' && query === 'force=true&grace_seconds=0')).toBe(true);
  });
});

describe('deleting jobs', () => {
  test('tells those that the server would not delete', async () => {
    fake.fault(({ path }) =>
      path.endsWith('/bad') ? { reply: { status: 500, body: '{"error":{"code":"tmux_error","message":"no"}}' } } : null,
    );
    const undeleted = await removeJobs(client, ['a', 'bad', '../forged', 'a'], quietCall());
    expect(undeleted.map(({ jobId, error }) => `${jobId}: ${error.message}`)).toEqual(['bad: tmux_error (500): no']);
    expect(fake.requests).toHaveLength(2);
  });

  test('stops when the server is gone or refuses the token', async () => {
    const ids = Array.from({ length: 100 }, (_, i) => `job-${i}`);
    fake.setToken('another');
    expect(await removeJobs(client, ids, quietCall())).toHaveLength(100);
    expect(fake.requests.length).toBeLessThanOrEqual(8);
    fake.vanish();
    const undeleted = await removeJobs(client, ids, quietCall());
    expect(undeleted.map(({ error }) => error.code)).toEqual(ids.map(() => 'request_error'));
  });

  test('uses a few connections, however many there are', async () => {
    let under = 0;
    let most = 0;
    fake.fault(() => {
      under = fake.openSockets();
      most = Math.max(most, under);
      return null;
    });
    expect(
      await removeJobs(
        client,
        Array.from({ length: 200 }, (_, i) => `job-${i}`),
        quietCall(),
      ),
    ).toEqual([]);
    expect(most).toBeLessThanOrEqual(8);
  });

  test('ends with the signal', async () => {
    fake.fault(() => 'hang');
    const controller = new AbortController();
    const removing = removeJobs(client, ['a', 'b'], { signal: controller.signal, owner: 'run' });
    controller.abort(new Error('cancelled'));
    await expect(removing).rejects.toThrow('cancelled');
  });
});

test('an aborted creation rejects at once', async () => {
  const call = { signal: AbortSignal.abort(new Error('cancelled')), owner: 'run' };
  await expect(createWorkspace(client, counting(), call)).rejects.toThrow('cancelled');
  fake.setToken('another');
  expect((await errorOf(createWorkspace(client, counting(), quietCall()))).code).toBe('unauthorized');
});
