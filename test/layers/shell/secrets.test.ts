// What of secrets reaches the model, and how jobs reach the Agent Stub: whole runs against the fake shellctl.

import { afterEach, describe, expect, test } from 'bun:test';
import { CodedError } from '../../../src/base/errors.ts';
import type { JsonObject } from '../../../src/base/json.ts';
import type { StubEnvironmentRequest, StubEnvironments } from '../../../src/workspaces/ports.ts';
import { runsOf, type ShellRun, type ShellWorld, shellWorld, snapshotWithJob, stateIn } from './kit.ts';

let world: ShellWorld | null = null;

function start(...args: Parameters<typeof shellWorld>): ShellWorld {
  world = shellWorld(...args);
  return world;
}

afterEach(async () => {
  await world?.stop();
  world = null;
});

/** A stub whose tokens say which one they are. */
function fakeStub() {
  const requests: StubEnvironmentRequest[] = [];
  const revoked: string[] = [];
  const stub: StubEnvironments = {
    async issue(request) {
      if (request.driveRef === '..')
        throw new CodedError('drive_ref_unsafe', 'Agent Stub drive_ref must be a safe relative path');
      requests.push(request);
      const token = `eyJhbGciOiJkaXIifQ..TOKEN-${requests.length}-${'x'.repeat(300)}.END`;
      return {
        env: { DIFY_AGENT_STUB_URL: 'http://stub/agent-stub', DIFY_AGENT_STUB_AUTH_JWE: token },
        secrets: [token],
        revoke: () => void revoked.push(token),
      };
    },
  };
  return { stub, requests, revoked };
}

const PRINT = 'printf "token: %s" "$DIFY_AGENT_STUB_AUTH_JWE"';

describe('the environment of the Agent Stub', () => {
  test('is fresh for every job of the model, for this context and session, and revoked when the run ends', async () => {
    const { stub, requests, revoked } = fakeStub();
    const shell = start({ stub });
    const run = await shell.enter({
      config: { agent_stub_drive_ref: 'agents/a', env: [{ name: 'DIFY_AGENT_STUB_AUTH_JWE', value: 'forged' }] },
    });
    await run.ask('shell_run', { script: 'true' });
    await run.ask('shell_run', { script: 'true' });
    const sessionId = run.state.session_id as string;
    expect(requests).toEqual(
      [1, 2].map(() => ({ context: expect.objectContaining({ tenant_id: 't-1' }), sessionId, driveRef: 'agents/a' })),
    );
    const [ours, ...theirs] = runsOf(shell.fake);
    expect(ours).not.toHaveProperty('env');
    expect(theirs.map(({ env }) => env?.DIFY_AGENT_STUB_AUTH_JWE?.slice(20, 27))).toEqual(['TOKEN-1', 'TOKEN-2']);
    expect(revoked).toEqual([]);
    await run.exit('suspend');
    expect(revoked).toHaveLength(2);
  });

  test('is not given without an execution context, nor to install commands', async () => {
    const { stub, requests } = fakeStub();
    const shell = start({ stub });
    const run = await shell.enter({ context: false, config: { cli_tools: [{ install_commands: ['true'] }] } });
    await run.ask('shell_run', { script: 'true' });
    expect(requests).toEqual([]);
    for (const body of runsOf(shell.fake)) expect(body).not.toHaveProperty('env');
    await run.exit('delete');
  });

  test('that cannot be made is told to the model, and nothing is run', async () => {
    const shell = start({ stub: fakeStub().stub });
    const run = await shell.enter({ config: { agent_stub_drive_ref: '..' } });
    shell.fake.forgetRequests();
    expect(await run.ask('shell_run', { script: 'true' })).toEqual({
      error: 'Agent Stub drive_ref must be a safe relative path',
    });
    expect(shell.fake.requests).toEqual([]);
    await run.exit('delete');
  });
});

describe('tokens', () => {
  test('are masked, also those of other jobs and of earlier runs of the session', async () => {
    const shell = start({ stub: fakeStub().stub });
    const run = await shell.enter();
    expect(await run.ask('shell_run', { script: `${PRINT} | tee kept` })).toMatchObject({
      output: 'token: ***',
      done: true,
    });
    expect(await run.ask('shell_run', { script: 'cat kept' })).toMatchObject({ output: 'token: ***' });
    const snapshot = await run.exit('suspend');
    const again = await shell.enter({ snapshot });
    expect(await again.ask('shell_run', { script: 'cat kept; echo' })).toMatchObject({ output: 'token: ***\n' });
    await again.exit('delete');
  });

  test('are not shown in halves by a job that pauses inside', async () => {
    const shell = start({ stub: fakeStub().stub });
    const run = await shell.enter();
    const pieces = ['printf "a "; printf %s "$DIFY_AGENT_STUB_AUTH_JWE" | head -c 150'];
    pieces.push('while [ ! -e go ]; do sleep 0.02; done', 'printf "%s b" "$DIFY_AGENT_STUB_AUTH_JWE" | tail -c +151');
    const script = pieces.join('; ');
    const first = await run.ask('shell_run', { script });
    expect(first).toMatchObject({ done: false, output: 'a ', offset: 2 });
    await run.ask('shell_run', { script: 'touch go' });
    expect(await run.ask('shell_wait', { job_id: String(first.job_id) })).toMatchObject({
      done: true,
      output: '*** b',
    });
    await run.exit('delete');
  });

  test('are not shown in halves by windows, whatever stands before them', async () => {
    const shell = start({ stub: fakeStub().stub });
    for (const before of [8191, 8100, 8000, 7900, 7860]) {
      const script = `head -c ${before} /dev/zero | tr '\\0' n; printf %s "$DIFY_AGENT_STUB_AUTH_JWE"; head -c 9000 /dev/zero | tr '\\0' m`;
      const { run, job_id } = await withFinishedJob(shell, script);
      let shown = '';
      for (let more = true; more; ) {
        const { output, truncated } = await run.ask('shell_wait', { job_id });
        shown += String(output);
        more = truncated === true;
      }
      expect(shown.replace(/\*+/, '***')).toBe(`${'n'.repeat(before)}***${'m'.repeat(9000)}`);
      await run.exit('delete');
    }
  });
});

/** A session, and a job of which all output is there and nothing was read; it was given a token of the session. */
async function withFinishedJob(
  shell: ShellWorld,
  script: string,
): Promise<{ readonly run: ShellRun; readonly job_id: string }> {
  const first = await shell.enter();
  await first.call('shell_run', { script: 'true' });
  const job_id = await shell.finishedJob(script, runsOf(shell.fake).at(-1)?.env);
  const sessionId = String(stateIn(await first.exit('suspend')).session_id);
  return { run: await shell.enter({ snapshot: snapshotWithJob(job_id, sessionId) }), job_id };
}

describe('configured values', () => {
  test('are masked when their names say that they are secret', async () => {
    const shell = start();
    const config = {
      env: [
        { name: 'API_KEY', value: 'k/1+2 3' },
        { name: 'REGION', value: 'eu-central-1' },
      ],
      cli_tools: [{ env: [{ name: 'DB_PASSWORD', value: 'first line\nsecond line' }] }],
    };
    const run = await shell.enter({ config });
    const script = 'echo "$API_KEY in $REGION"; echo "$DB_PASSWORD"; echo "$DB_PASSWORD" | head -1';
    expect(await run.ask('shell_run', { script })).toMatchObject({ output: '*** in eu-central-1\n***\n***\n' });
    await run.exit('delete');
  });
});

describe('patterns', () => {
  test('of the server and of the composition mask what they match', async () => {
    const shell = start({ redactPatterns: ['sk-[a-z0-9]{6,}'] });
    const run = await shell.enter({ config: { redact_patterns: ['\\b\\d{4}-\\d{4}\\b'] } });
    expect(await run.ask('shell_run', { script: 'echo sk-abc123 1234-5678 12345-6789' })).toMatchObject({
      output: '*** *** 12345-6789\n',
    });
    await run.exit('delete');
    const plain = await shell.enter();
    expect(await plain.ask('shell_run', { script: 'echo sk-abc123 1234-5678' })).toMatchObject({
      output: '*** 1234-5678\n',
    });
    await plain.exit('delete');
  });

  test('do not hide a prompt that waits for input', async () => {
    const shell = start({ redactPatterns: ['sk-[a-z0-9]{6,}'] });
    const run = await shell.enter();
    const asked = await run.ask('shell_run', { script: 'printf Password:; read -r x; echo "got $x"' });
    expect(asked).toMatchObject({ done: false, output: 'Password:', offset: 9 });
    expect(await run.ask('shell_input', { job_id: String(asked.job_id), text: 'sk-abcdef\n' })).toMatchObject({
      output: 'got ***\n',
    });
    await run.exit('delete');
  });

  test('what may be a beginning when the run is suspended is read again by the next one', async () => {
    const shell = start({ redactPatterns: ['sk-[a-z0-9]{6,}'] });
    const run = await shell.enter();
    const script = 'printf "x sk-abc"; while [ ! -e go ]; do sleep 0.02; done; echo def';
    const asked = await run.ask('shell_run', { script });
    expect(asked).toMatchObject({ output: 'x sk-abc', offset: 8 });
    const snapshot = await run.exit('suspend');
    expect(stateIn(snapshot).job_offsets).toEqual({ [String(asked.job_id)]: 2 });
    const again = await shell.enter({ snapshot });
    await again.ask('shell_run', { script: 'touch go' });
    expect(await again.ask('shell_wait', { job_id: String(asked.job_id) })).toMatchObject({
      output: '***\n',
      done: true,
    });
    await again.exit('delete');
  });

  test('that take too long on an output withhold it, with the id of the job', async () => {
    const shell = start({ redactPatterns: ['x*[a-f]y|x*[gh]z|x*w|x'] });
    const { run, job_id } = await withFinishedJob(shell, "head -c 8000 /dev/zero | tr '\\0' x");
    const result = await run.ask('shell_wait', { job_id });
    expect(result).toEqual({ error: expect.stringContaining('The output is withheld'), job_id });
    expect(run.state.job_offsets).toMatchObject({ [job_id]: 8000 });
    await run.exit('delete');
  });
});

describe('tagged results', () => {
  const newer = (changes: Parameters<typeof shellWorld>[0] = {}) => start({ newerResults: true, ...changes });
  const parts = (result: unknown) => {
    const match = /^<metadata>\n(.*)\n<\/metadata>\n\n<output>\n([\s\S]*)\n<\/output>$/.exec(String(result));
    return { metadata: JSON.parse(match?.[1] ?? 'null') as JsonObject, output: match?.[2] }; // what the test is about
  };

  test('have the frame of the wire', async () => {
    const shell = newer();
    const run = await shell.enter();
    const result = await run.call('shell_run', { script: 'echo ok é' });
    const { metadata } = parts(result);
    expect(result).toBe(
      `<metadata>\n{"job_id":"${metadata.job_id}","status":"exited","done":true,"exit_code":0,"output_path":"${metadata.output_path}"}\n</metadata>\n\n<output>\nok é\n\n</output>`,
    );
    expect(runsOf(shell.fake).at(-1)?.output_limit).toBe(16_384);
    expect(await run.call('shell_wait', { job_id: 'x' })).toEqual({
      error: 'Unknown shell job id for this session: x.',
      job_id: 'x',
    });
    const live = parts(await run.call('shell_run', { script: 'echo a; sleep 600' }));
    const ended = await run.call('shell_interrupt', { job_id: String(live.metadata.job_id), grace_seconds: 0 });
    expect(parts(ended)).toMatchObject({
      metadata: { status: 'terminated', done: true, output_path: expect.stringContaining('output.log') },
      output: 'Job was interrupted.',
    });
    await run.exit('delete');
  });

  test('show up to 16 KiB whole: nothing twice', async () => {
    const shell = newer();
    const script = 'awk \'BEGIN{for(i=0;i<4096;i++)printf "%03d,",i%1000}\'';
    const { run, job_id } = await withFinishedJob(shell, script);
    const { output } = parts(await run.call('shell_wait', { job_id }));
    expect(output).toBe(Array.from({ length: 4096 }, (_, i) => `${String(i % 1000).padStart(3, '0')},`).join(''));
    await run.exit('delete');
  });

  test('show the beginning and the end of more, and count what lies between', async () => {
    const shell = newer();
    const { run, job_id } = await withFinishedJob(shell, 'awk \'BEGIN{for(i=0;i<10000;i++)printf "%04d,",i}\'');
    const { metadata, output = '' } = parts(await run.call('shell_wait', { job_id }));
    const text = Array.from({ length: 10_000 }, (_, i) => `${String(i).padStart(4, '0')},`).join('');
    expect(output).toBe(
      [
        text.slice(0, 8192),
        `... (truncated in middle because the max output size is limited to 16384 bytes; ${50_000 - 16_384} bytes were skipped) ...`,
        text.slice(-8192),
        `(check the ${metadata.output_path} for full output)`,
      ].join('\n'),
    );
    expect(run.state.job_offsets).toEqual({ [String(metadata.job_id)]: 50_000 });
    await run.exit('delete');
  });

  test('cut no character and no secret', async () => {
    const shell = newer({ stub: fakeStub().stub });
    const token = '$DIFY_AGENT_STUB_AUTH_JWE';
    for (const shift of [0, 1, 2, 100, 200, 320]) {
      // A token lies across the end of the beginning, and one across the beginning of the end.
      const script = `awk -v t="${token}" 'BEGIN{for(i=0;i<${8100 - shift};i++)printf "n";printf t;for(i=0;i<9000;i++)printf "€";printf t;for(i=0;i<${7900 + Math.min(shift, 280)};i++)printf "m"}'`;
      const { run, job_id } = await withFinishedJob(shell, script);
      const { output = '' } = parts(await run.call('shell_wait', { job_id }));
      expect(output).not.toContain('\ufffd');
      expect(output.replace(/ \(.*\) |\(check the .* for full output\)/g, '')).not.toMatch(/[A-Z]|eyJ|xx/);
      expect(output).toMatch(/^n+\*\*\*€*\n/);
      expect(output).toMatch(/\n€*\*\*\*m+\n/);
      await run.exit('delete');
    }
  });

  test('skip nothing when the end cannot be read: the next wait goes on', async () => {
    const shell = newer();
    const { run, job_id } = await withFinishedJob(shell, 'awk \'BEGIN{for(i=0;i<4000;i++)printf "%04d,",i}\'');
    shell.fake.fault(({ path }) => (path.endsWith('/tail') ? { reply: { status: 500, body: '{}' } } : null));
    const text = Array.from({ length: 4000 }, (_, i) => `${String(i).padStart(4, '0')},`).join('');
    const first = parts(await run.call('shell_wait', { job_id }));
    expect(first.output).toStartWith(`${text.slice(0, 8192)}\n... (truncated here`);
    expect(parts(await run.call('shell_wait', { job_id })).output).toBe(text.slice(8192));
    await run.exit('delete');
  });
});
