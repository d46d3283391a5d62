// `run`, `watch`, `cancel`: agents from a terminal. A run is created and shown as it goes; a question is asked on the spot and
// the agent goes on with the answer. Exit codes say what became of it: 0 succeeded, 1 failed, 3 cancelled, 4 a question is open.

import { readFileSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import { errorText } from '../base/errors.ts';
import { formOf } from '../client/question.ts';
import {
  type CreateRunRequest,
  type DeferredToolCall,
  isTerminal,
  type RunStatus,
  type TerminalEvent,
} from '../client/types.ts';
import { Interrupted, type Interrupts, watchInterrupts } from './interrupts.ts';
import { EXIT, type Io } from './io.ts';
import { answerQuestion, canBeTyped, describeQuestion } from './questions.ts';
import { OUTCOME, parseExactly, type RemoteWords, readRemoteWords, reporting } from './remote.ts';
import { createRenderer, jsonLine, printable } from './render.ts';

/** The largest composition that is read (64 MiB): the server's own limit is lower. */
const MAX_REQUEST_BYTES = 64 * 1024 * 1024;
/** After pauses of 0.5 s and on, doubling: a server that went away is given up after a quarter of a minute. */
const MAX_RECONNECTS = 5;
const RUN_USAGE = 'run FILE|- [--json] [--url URL]';
const WATCH_USAGE = 'watch RUN_ID [--after CURSOR] [--json] [--url URL]';
/** What a run is told by that was seen to its end before. */
const STATUS_CODES: Partial<Record<RunStatus, number>> = { succeeded: EXIT.ok, cancelled: OUTCOME.cancelled };
const CANCEL_USAGE = 'cancel RUN_ID [--reason TEXT] [--json] [--url URL]';

/** `run FILE|-`: the file is a `POST /runs` body. */
export async function runCommand(io: Io): Promise<number> {
  const words = await readRemoteWords(io, RUN_USAGE, 1);
  if (words === null) return EXIT.usage;
  const [file = '-'] = words.positionals;
  const request = await readRequest(io, file);
  if (request === null) return EXIT.usage;
  return interruptible(io, words, false, (interrupts) => converse(io, words, request, file !== '-', interrupts));
}

/** `watch RUN_ID`: shows a run that is there already, from its beginning or a cursor. */
export async function watchCommand(io: Io): Promise<number> {
  const words = await readRemoteWords(io, WATCH_USAGE, 1, { after: { type: 'string' } });
  if (words === null) return EXIT.usage;
  const { positionals, values } = words;
  const [runId = ''] = positionals;
  const after = typeof values.after === 'string' ? values.after : '0-0';
  return interruptible(io, words, true, async (interrupts) => {
    // A stream is patient with a server that is away. One that is not there at all, or has no such run, is told at once.
    await words.client.getRun(runId, { signal: interrupts.signal });
    const end = await show(io, words, runId, after, interrupts);
    if (end === null) {
      const { status } = await words.client.getRun(runId, { signal: interrupts.signal });
      await io.complain(printable(`run ${runId} is over (${status}); nothing follows ${after}`));
      return STATUS_CODES[status] ?? EXIT.failed;
    }
    const call = questionOf(end);
    if (!words.json && call !== null) await io.print(describeQuestion(call));
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
  return interruptible(io, words, true, async ({ signal }) => {
    const event = await client.cancelRunAndWait(runId, { reason }, { signal, maxReconnects: MAX_RECONNECTS });
    await io.print(json ? jsonLine(event) : createRenderer(io.colour).render(event));
    return EXIT.ok;
  });
}

/** Work that Ctrl-C can leave. */
function interruptible(
  io: Io,
  words: RemoteWords,
  leaveAtOnce: boolean,
  work: (interrupts: Interrupts) => Promise<number>,
): Promise<number> {
  return reporting(io, words, async () => {
    const interrupts = watchInterrupts(io, leaveAtOnce);
    try {
      return await work(interrupts);
    } catch (error) {
      if (error instanceof Interrupted) return OUTCOME.interrupted;
      throw error;
    } finally {
      interrupts.release();
    }
  });
}

/** A run, and another one for each question that is answered. */
async function converse(
  io: Io,
  words: RemoteWords,
  first: CreateRunRequest,
  canAsk: boolean,
  interrupts: Interrupts,
): Promise<number> {
  const { client, json } = words;
  const { signal } = interrupts;
  for (let request = first; ; ) {
    const { run_id: runId } = await client.createRun(request, { signal });
    if (!json) await io.complain(printable(`run ${runId}`));
    interrupts.onFirst(() => {
      void client
        .cancelRun(runId, { reason: 'user_cancelled' }, { signal })
        .catch((error: unknown) => (signal.aborted ? null : io.complain(printable(errorText(error)))));
    });
    const end = await show(io, words, runId, '0-0', interrupts);
    if (end === null) throw new Error(`the events of run ${runId} are gone`);
    // It is over: nothing to cancel any more.
    interrupts.onFirst(() => {});
    const call = questionOf(end);
    const answer = call === null || json || interrupts.happened ? null : await answered(io, call, canAsk);
    if (call === null || answer === null || end.type !== 'run_succeeded') return exitCode(end);
    // It is another request: the key of the first one is not its own.
    const { idempotency_key: _key, ...rest } = request;
    request = {
      ...rest,
      session_snapshot: end.data.session_snapshot,
      deferred_tool_results: { calls: { [call.tool_call_id]: answer } },
    };
  }
}

async function readRequest(io: Io, file: string): Promise<CreateRunRequest | null> {
  try {
    const value = parseExactly(file === '-' ? await io.readInput(MAX_REQUEST_BYTES) : readFile(io, file));
    if (typeof value !== 'object' || value === null || !('composition' in value)) {
      throw new Error('must be the body of POST /runs: an object with a composition');
    }
    return value as CreateRunRequest; // the server checks the rest, and says which field is wrong
  } catch (error) {
    await io.complain(printable(`${file === '-' ? 'standard input' : file}: ${errorText(error)}`));
    return null;
  }
}

function readFile({ cwd }: Io, file: string): string {
  const path = resolve(cwd, file);
  if (statSync(path).size > MAX_REQUEST_BYTES) throw new Error(`it is larger than ${MAX_REQUEST_BYTES} bytes`);
  // Editors on Windows begin files with a mark.
  return readFileSync(path, 'utf8').replace(/^\ufeff/, '');
}

/** Prints a run's events to its end. Null: it is over, and nothing follows `after`. */
async function show(
  io: Io,
  { client, json }: RemoteWords,
  runId: string,
  after: string,
  { signal }: Interrupts,
): Promise<TerminalEvent | null> {
  const renderer = createRenderer(io.colour, columnsOf(io));
  for await (const event of client.streamEvents(runId, { after, signal, maxReconnects: MAX_RECONNECTS })) {
    const text = json ? jsonLine(event) : renderer.render(event);
    if (text !== '') await io.print(text);
    if (isTerminal(event)) return event;
  }
  return null;
}

/** The answer to a question, or null when it stays open. */
async function answered(io: Io, call: DeferredToolCall, canAsk: boolean) {
  await io.print(describeQuestion(call));
  const form = formOf(call);
  const isAsked = form !== null && canAsk && canBeTyped(form);
  const answer = isAsked && io.ask !== null ? await answerQuestion(form, io.ask) : null;
  if (answer !== null) return answer;
  await io.complain('the question is open: post the next run with session_snapshot and deferred_tool_results');
  return null;
}

/** Colours are for terminals, which have a width; whoever wants none gets whole lines. */
function columnsOf({ colour }: Io): number | null {
  return colour ? (process.stdout.columns ?? null) : null;
}

function questionOf(end: TerminalEvent): DeferredToolCall | null {
  return end.type === 'run_succeeded' ? (end.data.deferred_tool_call ?? null) : null;
}

function exitCode(end: TerminalEvent): number {
  if (end.type === 'run_failed') return EXIT.failed;
  if (end.type === 'run_cancelled') return OUTCOME.cancelled;
  return questionOf(end) === null ? EXIT.ok : OUTCOME.question;
}
