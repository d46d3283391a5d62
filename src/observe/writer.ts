// The real logger: level filter, clock, format, redactor, sink. What an entry looks like is entry.ts; where it goes, sink.ts.

import { type Clock, rfc3339, systemClock } from '../base/clock.ts';
import { formatEntry } from './entry.ts';
import type { LogFields, LogFormat, Logger, LogLevel } from './logger.ts';
import type { Redactor } from './redact.ts';
import type { LogSink } from './sink.ts';

/** How to build a logger. */
export interface LoggerOptions {
  /** The least severe level that is written. */
  readonly level: LogLevel;
  readonly format: LogFormat;
  /** Cleans every text; there is no logger without one. */
  readonly redactor: Redactor;
  readonly sink: LogSink;
  readonly clock?: Clock;
}

const SEVERITY: Readonly<Record<LogLevel, number>> = { debug: 0, info: 1, warn: 2, error: 3 };

/** A logger that writes one line per entry. */
export function createLogger(options: LoggerOptions): Logger {
  return withFields({ ...options, clock: options.clock ?? systemClock() }, {});
}

function withFields(options: Required<LoggerOptions>, base: LogFields): Logger {
  const at =
    (level: LogLevel) =>
    (message: string, fields?: LogFields): void => {
      if (SEVERITY[level] < SEVERITY[options.level]) return;
      const entry = { time: rfc3339(options.clock.nowMicros()), level, message, fields: merged(base, fields) };
      options.sink.write(formatEntry(entry, options.format, options.redactor));
    };
  return Object.freeze({
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    child: (fields: LogFields) => withFields(options, merged(base, fields)),
  });
}

function merged(base: LogFields, fields: LogFields | undefined): LogFields {
  if (fields === undefined) return base;
  try {
    return { ...base, ...fields };
  } catch {
    // A getter of the caller's object threw. Logging never throws.
    return { ...base, fields: '(unprintable)' };
  }
}
