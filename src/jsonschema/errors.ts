// The one error of this room: a schema that cannot be used. Its message is what a failed run shows (spec 02 §9.3).

import { CodedError } from '../base/errors.ts';

/** A schema that is no schema, has references that are not supported, or is too large; the message is the public text. */
export class SchemaError extends CodedError {
  constructor(message: string) {
    super('invalid_schema', message);
  }
}
