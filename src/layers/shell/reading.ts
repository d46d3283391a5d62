// From shellctl's answer to what is shown of it: a window, scrubbed, and in newer vintages the end of a long output in place of
// its middle. Says where to read on; keeps nothing.

import type { CallOptions, JobResult, ShellctlClient } from '../../peers/shellctl/port.ts';
import { nextWindow } from '../../workspaces/windows.ts';
import { orNull } from './failures.ts';
import type { JobPosition } from './jobs.ts';
import type { ResultStyle, ShownOutput } from './results.ts';
import type { Ending, Scrubbed, Scrubber } from './scrub.ts';

/** Of an output with its middle skipped: bytes of its beginning and of its end. */
const EDGE_BYTES = 8192;
/** Read before the shown end, so that a secret that is cut there is seen whole. */
const BEFORE_END_BYTES = 4096;
/** How long a job that stopped inside of what may be a secret is waited for, once. */
const SETTLE_SECONDS = 1;

/** What reading needs. */
export interface ReadingDeps {
  readonly client: Pick<ShellctlClient, 'wait' | 'tail'>;
  readonly scrubber: Scrubber;
  readonly style: ResultStyle;
  readonly call: CallOptions;
}

/** What the model is shown, and where to go on. */
export interface Read {
  readonly job: JobResult;
  readonly shown: ShownOutput;
  readonly position: JobPosition;
}

/**
 * Reads the answer of a run, wait or input that was asked for at `from`. Rejects with RedactionCostError or the signal's reason;
 * failures of further calls only shorten what is shown.
 */
export async function readOutput(answer: JobResult, from: JobPosition, deps: ReadingDeps): Promise<Read> {
  if (answer.truncated && deps.style.skipsMiddle) return await readEdges(answer, from, deps);
  const first = scrub(answer, from, deps.scrubber, false);
  if (!first.scrubbed.tentative) return first.read;
  const again = await orNull(
    deps.client.wait(
      answer.job_id,
      { offset: from.offset, timeoutSeconds: SETTLE_SECONDS, outputLimit: deps.style.windowBytes },
      deps.call,
    ),
  );
  if (again === null) return first.read;
  if (again.truncated && deps.style.skipsMiddle) return await readEdges(again, from, deps);
  const silent = again.offset === answer.offset;
  return scrub(again, from, deps.scrubber, silent).read;
}

interface ScrubbedRead {
  readonly read: Read;
  readonly scrubbed: Scrubbed;
}

function scrub(job: JobResult, from: JobPosition, scrubber: Scrubber, release: boolean): ScrubbedRead {
  const next = nextWindow(from.offset, job);
  const scrubbed = scrubber.window(from.context, job.output, endingOf(job), release);
  const offset = Math.max(from.offset, next.offset - scrubbed.heldBytes);
  const { text, context, ambiguousBytes } = scrubbed;
  return { read: { job, shown: { text, offset }, position: { offset, context, ambiguousBytes } }, scrubbed };
}

function endingOf({ truncated, done }: Pick<JobResult, 'truncated' | 'done'>): Ending {
  if (truncated) return 'cut';
  return done ? 'final' : 'pause';
}

/** The beginning of the window and the end of the log; what lies between is not shown any more (spec 04 §2.5, §5.9). */
async function readEdges(window: JobResult, from: JobPosition, deps: ReadingDeps): Promise<Read> {
  const { client, scrubber, call } = deps;
  const head = scrubber.beginning(from.context, window.output, unitsWithin(window.output, EDGE_BYTES));
  const headEnd = Math.max(nextWindow(from.offset, window).offset - head.heldBytes, from.offset + 1);
  const path = window.output_path === null ? [] : [`(check the ${window.output_path} for full output)`];
  const tail = await orNull(client.tail(window.job_id, EDGE_BYTES + BEFORE_END_BYTES, call));
  if (tail === null) {
    // Nothing is skipped: the next wait goes on behind the head.
    const text = [head.text, '... (truncated here; call shell_wait for what follows) ...', ...path].join('\n');
    return { job: window, shown: { text, offset: headEnd }, position: { ...head, offset: headEnd } };
  }
  const start = tailStart(tail, headEnd);
  const fresh = tail.output.slice(start);
  const end = scrubber.window(tail.output.slice(0, start), fresh, tail.done ? 'final' : 'pause');
  const skipped = Math.max(0, tail.offset - Buffer.byteLength(fresh) - headEnd);
  const offset = Math.max(headEnd, tail.offset - end.heldBytes);
  return {
    job: { ...tail, output_path: tail.output_path ?? window.output_path },
    shown: { text: [head.text, marker(skipped), end.text, ...path].join('\n'), offset },
    position: { offset, context: end.context, ambiguousBytes: end.ambiguousBytes },
  };
}

function marker(skipped: number): string {
  const limit = 2 * EDGE_BYTES;
  return `... (truncated in middle because the max output size is limited to ${limit} bytes; ${skipped} bytes were skipped) ...`;
}

/** Where in a tail its last EDGE_BYTES begin, or what is behind the head if that is less. */
function tailStart({ output, offset }: JobResult, headEnd: number): number {
  const total = Buffer.byteLength(output);
  const wanted = Math.min(EDGE_BYTES, Math.max(0, offset - headEnd));
  return total <= wanted ? 0 : output.length - unitsAtEnd(output, wanted);
}

/** UTF-16 units at the end of a text that have at most so many bytes. */
function unitsAtEnd(text: string, bytes: number): number {
  let left = bytes;
  let at = text.length;
  while (at > 0) {
    const low = (text.charCodeAt(at - 1) & 0xfc00) === 0xdc00 && at > 1;
    const start = at - (low ? 2 : 1);
    left -= Buffer.byteLength(text.slice(start, at));
    if (left < 0) break;
    at = start;
  }
  return text.length - at;
}

/** UTF-16 units at the beginning of a text that have at most so many bytes. */
function unitsWithin(text: string, bytes: number): number {
  const { read } = new TextEncoder().encodeInto(text, new Uint8Array(bytes));
  return read;
}
