// The error base class: every error that crosses a room's boundary carries a machine-readable code.
// What an error means on the wire (status, text of run_failed) is decided by the room that catches it.

/** An expected failure with a stable `code` (`snake_case`) beside its human text. */
export class CodedError extends Error {
  readonly code: string;

  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
    this.code = code;
  }
}

/** The text of anything thrown: its message, or its class name when the message is empty (spec 02 §12.1). Never throws. */
export function errorText(error: unknown): string {
  try {
    return String(error instanceof Error ? error.message || error.name : error);
  } catch {
    // A getter or a toString of somebody else's.
    return 'an error that has no text';
  }
}
