// The one error of this room: a composition or snapshot that cannot be run. Its message is exactly the text that
// `run_failed.error` publishes (spec 02 §2, §3, §5).

import { CodedError } from '../base/errors.ts';
import { pyRepr } from '../wiretext/repr.ts';

/** A composition, snapshot or exit policy that is refused; the message is the public text. */
export class CompositionError extends CodedError {
  constructor(message: string) {
    super('invalid_composition', message);
  }
}

/** The text of a Python KeyError: the repr of its message, hence in quotes (spec 02 §12.1). */
export function keyErrorText(message: string): string {
  return pyRepr(message);
}
