// What the model is told of a job (spec 04 §2.5): an object, as the seed does, or one text with tags, as newer vintages do. How
// output is read is reading.ts.

import type { JsonValue } from '../../base/json.ts';
import type { JobResult, JobStatusView } from '../../peers/shellctl/port.ts';
import { asciiJson } from './environment.ts';

/** Output that may be shown, and where it ends in the log. */
export interface ShownOutput {
  readonly text: string;
  /** The next byte that was not shown. */
  readonly offset: number;
}

/** How results look. */
export interface ResultStyle {
  /** Bytes of output in one answer of shellctl. */
  readonly windowBytes: number;
  /** True: of an output that is longer than the window, its beginning and its end are shown and the middle is skipped. */
  readonly skipsMiddle: boolean;
  /** `grace_seconds` of `shell_interrupt` when the model gives none. */
  readonly graceSeconds: number;
  /** Whether the prompt warns of secrets behind the others' (spec 04 §2.6, N). */
  readonly suffixPrompt: boolean;
  output(job: JobResult, shown: ShownOutput): JsonValue;
  /** `outputPath`: where the log lies, when that is known. */
  interrupted(job: JobStatusView, outputPath: string | null): JsonValue;
}

/** The seed's: everything of a job as members; `truncated` says that `shell_wait` has more. */
export const objectResults: ResultStyle = {
  windowBytes: 8192,
  skipsMiddle: false,
  graceSeconds: 5,
  suffixPrompt: false,
  output: ({ job_id, status, done, exit_code, truncated, output_path }, { text, offset }) => ({
    job_id,
    status,
    done,
    exit_code,
    output: text,
    offset,
    truncated,
    output_path,
  }),
  interrupted: ({ job_id, status, done, exit_code, offset }) => ({ job_id, status, done, exit_code, offset }),
};

/** The newer vintages'. */
export const taggedResults: ResultStyle = {
  windowBytes: 16_384,
  skipsMiddle: true,
  graceSeconds: 10,
  suffixPrompt: true,
  output: (job, { text }) => tagged(job, job.output_path, text),
  interrupted: (job, outputPath) => tagged(job, outputPath, 'Job was interrupted.'),
};

type Ended = Pick<JobStatusView, 'job_id' | 'status' | 'done' | 'exit_code'>;

function tagged({ job_id, status, done, exit_code }: Ended, outputPath: string | null, text: string): string {
  const path = outputPath === null ? {} : { output_path: outputPath };
  const metadata = asciiJson(JSON.stringify({ job_id, status, done, exit_code, ...path }));
  return `<metadata>\n${metadata}\n</metadata>\n\n<output>\n${text}\n</output>`;
}

/** A failure as the model is told of it. */
export function failed(text: string, jobId: string | null): JsonValue {
  return jobId === null ? { error: text } : { error: text, job_id: jobId };
}
