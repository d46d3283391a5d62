// What is wrong with the stream of a tool, beside the errors that every daemon stream can have (errors.ts).

import { CodedError } from '../../base/errors.ts';

/** `invalid`: a message that is none, or a file that breaks the rules. `limit`: more than we are willing to read. */
export type ToolStreamFault = 'invalid' | 'limit';

/** A tool's stream cannot be read; `message` is the reference's text where it has one. */
export class ToolStreamError extends CodedError {
  readonly fault: ToolStreamFault;

  constructor(fault: ToolStreamFault, message: string) {
    super(`tool_stream_${fault}`, message);
    this.fault = fault;
  }
}
