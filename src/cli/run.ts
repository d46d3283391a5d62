// `run`, `watch`, `cancel`: agents from a terminal. A run is created and shown as it goes; a question is asked on the spot and
// the agent goes on with the answer. Exit codes say what became of it: 0 succeeded, 1 failed, 3 cancelled, 4 a question is open.

import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { errorText } from '../base/errors.ts';
import type { Client } from '../client/client.ts';
import { type CreateRunRequest, isTerminal, type RunSucceededEvent, type TerminalEvent } from '../client/types.ts';
import { EXIT, type Io } from './io.ts';
import { answerQuestion, canBeTyped, describeQuestion } from './questions.ts';
import { OUTCOME, type RemoteWords, readRemoteWords, reporting } from './remote.ts';
import { createRenderer } from './render.ts';

/** The largest composition that is read (64 MiB): the server's own limit is lower. */
const MAX_REQUEST_BYTES = 64 * 1024 * 1024;
const RUN_USAGE = 'run FILE|- [--json] [--url URL]';
const WATCH_USAGE = 'watch RUN_ID [--after CURSOR] [--json] [--url URL]';
const CANCEL_USAGE = 'cancel RUN_ID [--reason TEXT] [--json] [--url URL]';

/** `run FILE|-`: the file is a `POST /runs` body. */
export async function runCommand(io: Io): Promise<number> {
  const words = await readRemoteWords(io, RUN_USAGE, 1);
  if (words === null) return EXIT.usage;
  const [file = '-'] = words.positionals;
  const first = await readRequest(io, file);
  if (first === null) return EXIT.usage;
  return reporting(io, async () => {
    for (let request = first; ; ) {
      const { run_id: runId } = await words.client.createRun(request);
      if (!words.json) await io.complain(`run ${runId}`);
      const end = await show(io, words, runId, '0-0');
      const next = await answered(io, words, request, end, file === '-');
      if (next === null) return exitCode(end);
      request = next;
    }
  });
}

/** `watch RUN_ID`: shows a run that is there already, from its beginning or a cursor. */
export async function watchCommand(io: Io): Promise<number> {
  const words = await readRemoteWords(io, WATCH_USAGE, 1, { after: { type: 'string' } });
  if (words === null) return EXIT.usage;
  const { positionals, values } = words;
  const [runId = ''] = positionals;
  const after = typeof values.after === 'string' ? values.after : '0-0';
  return reporting(io, async () => {
    const end = await show(io, words, runId, after, false);
    if (!words.json && end.type === 'run_succeeded' && end.data.deferred_tool_call !== undefined) {
      await io.print(describeQuestion(end.data.deferred_tool_call));
    }
    return exitCode(end);
  });
}

/** `cancel RUN_ID`: asks for the end of a run and waits for it. */
export async function cancelCommand(io: Io): Promise<number> {
  const words = await readRemoteWords(io, CANCEL_USAGE, 1, { reason: { type: 'string' } });
  if (words === null) return EXIT.usage;
  const { client, positionals, values, json } = words;
  const [runId = ''] = positionals;
  const reason = typeof values.reason === 'string' ? values.reason : 'user_cancelled';
  return reporting(io, async () => {
    const event = await client.cancelRunAndWait(runId, { reason });
    await io.print(json ? `${JSON.stringify(event)}\n` : createRenderer(io.colour).render(event));
    return EXIT.ok;
  });
}

async function readRequest(io: Io, file: string): Promise<CreateRunRequest | null> {
  try {
    const text = file === '-' ? await io.readInput(MAX_REQUEST_BYTES) : readFileSync(resolve(io.cwd, file), 'utf8');
    // The server checks it, and says which field is wrong.
    return JSON.parse(text) as CreateRunRequest;
  } catch (error) {
    await io.complain(`${file === '-' ? 'standard input' : file}: ${errorText(error)}`);
    return null;
  }
}

/** Prints a run's events to its end. The first Ctrl-C cancels it (if it is ours), the second leaves. */
async function show(io: Io, words: RemoteWords, runId: string, after: string, ours = true): Promise<TerminalEvent> {
  const { client, json } = words;
  const renderer = createRenderer(io.colour);
  const leave = new AbortController();
  const interrupted = (): void => {
    if (!ours || interruptions++ > 0) leave.abort(new Interrupted());
    else void cancelOnce(io, client, runId);
  };
  let interruptions = 0;
  io.events.on('SIGINT', interrupted);
  try {
    for await (const event of client.streamEvents(runId, { after, signal: leave.signal })) {
      await io.print(json ? `${JSON.stringify(event)}\n` : renderer.render(event));
      if (isTerminal(event)) return event;
    }
  } finally {
    io.events.off('SIGINT', interrupted);
  }
  // streamEvents ends with a terminal event or throws.
  throw new Error(`the stream of run ${runId} ended without a terminal event`);
}

/** Ctrl-C, a second time. */
class Interrupted extends Error {
  constructor() {
    super('interrupted');
  }
}

async function cancelOnce(io: Io, client: Client, runId: string): Promise<void> {
  try {
    await client.cancelRun(runId, { reason: 'user_cancelled' });
  } catch (error) {
    await io.complain(errorText(error));
  }
}

/** The request that goes on after a question, or null when the run is over or nobody answers. */
async function answered(
  io: Io,
  { json }: RemoteWords,
  request: CreateRunRequest,
  end: TerminalEvent,
  inputIsTaken: boolean,
): Promise<CreateRunRequest | null> {
  const call = questionOf(end);
  if (call === null || json) return null;
  await io.print(describeQuestion(call));
  if (io.ask === null || inputIsTaken || !canBeTyped(call)) {
    await io.complain('the question is open: post the next run with session_snapshot and deferred_tool_results');
    return null;
  }
  const result = await answerQuestion(call, io.ask);
  if (result === null) return null;
  // It is another request: the key of the first one is not its own.
  const { idempotency_key: _key, ...rest } = request;
  return {
    ...rest,
    session_snapshot: (end as RunSucceededEvent).data.session_snapshot, // questionOf found a call in it
    deferred_tool_results: { calls: { [call.tool_call_id]: result } },
  };
}

function questionOf(end: TerminalEvent) {
  return end.type === 'run_succeeded' ? (end.data.deferred_tool_call ?? null) : null;
}

function exitCode(end: TerminalEvent): number {
  if (end.type === 'run_failed') return EXIT.failed;
  if (end.type === 'run_cancelled') return OUTCOME.cancelled;
  return questionOf(end) === null ? EXIT.ok : OUTCOME.question;
}
