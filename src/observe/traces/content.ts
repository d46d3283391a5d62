// What may be recorded of what is said in a run, where DIFY_AGENT_TRACE_CONTENT asks for it: cut, and with secrets masked.
// Whether it is recorded at all is decided by whoever has a recorder.

import type { Redactor } from '../redact.ts';

/** Of any text in a span. */
export const MAX_ATTRIBUTE_CHARS = 16_384;
/** Read beyond the cut, so that a secret which lies across it is seen whole. The longest credential the redactor looks for. */
const MARGIN = 4_096;
const CUT = '… (cut)';

/** Turns a builder of content into the text of an attribute. Never throws. */
export type ContentRecorder = (content: () => string) => string;

export function createContentRecorder(redactor: Redactor): ContentRecorder {
  return (content) => {
    try {
      return bounded(content(), redactor);
    } catch {
      // A builder of another room failed. A trace is no reason to fail a run.
      return '(not recorded: it could not be put into words)';
    }
  };
}

function bounded(text: string, redactor: Redactor): string {
  if (text.length <= MAX_ATTRIBUTE_CHARS + MARGIN) return shortened(redactor.text(text), MAX_ATTRIBUTE_CHARS);
  const read = redactor.text(text.slice(0, MAX_ATTRIBUTE_CHARS + MARGIN));
  // What is masked becomes shorter: the end of what was read may be the beginning of a secret and must not come into view.
  const safe = read.slice(0, Math.max(0, read.length - MARGIN));
  return `${safe.slice(0, MAX_ATTRIBUTE_CHARS - CUT.length).toWellFormed()}${CUT}`;
}

/** The text, cut to `max` characters, without halves of surrogate pairs: it leaves as UTF-8. */
export function shortened(text: string, max: number): string {
  return text.length <= max ? text.toWellFormed() : `${text.slice(0, max - CUT.length).toWellFormed()}${CUT}`;
}
