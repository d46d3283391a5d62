// What every room logs with. This file has the interface and the no-op; writer.ts prints entries, redact.ts cleans them.

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';
export type LogFormat = 'text' | 'json';

/** What may stand beside a message. `undefined` members are left out; errors print as their text. */
export type LogFields = Readonly<Record<string, unknown>>;

/**
 * Writes log entries. No method throws or blocks, whatever it is given. Every text and field passes the redactor first.
 *
 * @example
 * const log = logger.child({ run_id: runId });
 * log.info('run started', { layers: 4 });
 */
export interface Logger {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** A logger that adds these fields to every entry. */
  child(fields: LogFields): Logger;
}

function ignore(): void {}

/** A logger that writes nothing: the default where none is given. */
export const noopLogger: Logger = Object.freeze({
  debug: ignore,
  info: ignore,
  warn: ignore,
  error: ignore,
  child: () => noopLogger,
});
