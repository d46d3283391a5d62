// Times as pydantic reads them (RFC 3339 in its usual variants, a bare date, epoch seconds or milliseconds) and as the
// wire writes them: UTC with `Z`, six fractional digits or none (spec 01 §1.5, 06 §2). A time without zone is UTC.

import { isInt, isJsonNumber, type JsonNumber, toNumber } from '../wiretext/numbers.ts';
import { floor, LAX, type Node, report } from './state.ts';

/** Epoch numbers beyond this are milliseconds (pydantic's watershed). */
const MILLISECONDS_FROM = 20_000_000_000;
const FIRST_SECOND = -62_167_219_200; // 0000-01-01
const YEAR_ONE = -62_135_596_800; // Python's datetime begins here
const LAST_SECOND = 253_402_300_799; // 9999-12-31T23:59:59

const TOO_LATE = 'dates after 9999 are not supported as unix timestamps';
const TOO_EARLY = 'dates before 0000 are not supported as unix timestamps';
const YEAR_ZERO = 'year 0 is out of range';

/** Seconds of the epoch, microseconds, and the offset in minutes that the text gave. */
interface Instant {
  readonly seconds: number;
  readonly micros: number;
  readonly offset: number;
}
type Read = Instant | { readonly error: string };

/** `datetime`: yields the wire's text. */
export const datetimeNode: Node = (input, state) => {
  let read: Read;
  let fromText = false;
  if (typeof input === 'string') {
    read = readText(input);
    fromText = true;
  } else if (isJsonNumber(input)) read = readEpoch(input);
  else return report(state, 'datetime_type', 'Input should be a valid datetime', input);
  if (!('error' in read)) {
    floor(state, LAX);
    if (read.seconds + read.offset * 60 >= YEAR_ONE) return formatInstant(read);
    read = { error: YEAR_ZERO };
    fromText = false;
  }
  const { error } = read;
  if (fromText) {
    const msg = `Input should be a valid datetime or date, ${error}`;
    return report(state, 'datetime_from_date_parsing', msg, input, { error });
  }
  return report(state, 'datetime_parsing', `Input should be a valid datetime, ${error}`, input, { error });
};

const RFC3339 =
  /^(\d{4})-(\d\d)-(\d\d)[Tt _](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d+))?)?(?:([Zz])|([+\-\u2212])(\d\d):?(\d\d))?$/;
const INT_TEXT = /^[+-]?\d{1,19}$/;
const FLOAT_TEXT = /^[+-]?(?:\d+\.\d*|\.\d+)$/;

function readText(text: string): Read {
  const match = RFC3339.exec(text);
  if (match !== null) {
    const read = fromParts(match);
    if (read !== null) return read;
  }
  if (INT_TEXT.test(text) && Math.abs(Number(text)) < 2 ** 63) return fromEpoch(Number(text));
  if (FLOAT_TEXT.test(text)) return fromEpoch(Number(text));
  return readDate(text);
}

function fromParts(match: RegExpExecArray): Instant | null {
  const number = (index: number): number => Number(match[index] ?? 0);
  const [year, month, day, hour, minute, second] = [number(1), number(2), number(3), number(4), number(5), number(6)];
  if (dateFault(month, day, year) !== null || hour > 23 || minute > 59 || second > 59 || number(11) > 59) return null;
  const magnitude = number(10) * 60 + number(11);
  if (magnitude >= 24 * 60) return null;
  const offset = match[9] === undefined || match[9] === '+' ? magnitude : -magnitude;
  const micros = Number((match[7] ?? '').slice(0, 6).padEnd(6, '0'));
  return { seconds: dayStart(year, month, day) + hour * 3600 + minute * 60 + second - offset * 60, micros, offset };
}

/** A text that is no time is read as a date; its fault is what pydantic tells. */
function readDate(text: string): Read {
  if (text.length < 10) return { error: 'input is too short' };
  for (const [at, name] of FAULTS) {
    const char = text[at] ?? '';
    if (name === null ? char !== '-' : char < '0' || char > '9') {
      return { error: name === null ? 'invalid date separator, expected `-`' : `invalid character in ${name}` };
    }
  }
  const [year, month, day] = [Number(text.slice(0, 4)), Number(text.slice(5, 7)), Number(text.slice(8, 10))];
  const fault = dateFault(month, day, year);
  if (fault !== null) return { error: fault };
  if (text.length > 10) return { error: 'unexpected extra characters at the end of the input' };
  return { seconds: dayStart(year, month, day), micros: 0, offset: 0 };
}

/** Positions of `YYYY-MM-DD` in the order in which they are checked; null is the separator. */
const FAULTS: readonly (readonly [number, string | null])[] = [
  [0, 'year'],
  [1, 'year'],
  [2, 'year'],
  [3, 'year'],
  [4, null],
  [5, 'month'],
  [6, 'month'],
  [7, null],
  [8, 'day'],
  [9, 'day'],
];

function dateFault(month: number, day: number, year: number): string | null {
  if (month < 1 || month > 12) return 'month value is outside expected range of 1-12';
  const leap = (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0;
  const days = month === 2 ? (leap ? 29 : 28) : [4, 6, 9, 11].includes(month) ? 30 : 31;
  return day < 1 || day > days ? 'day value is outside expected range' : null;
}

function dayStart(year: number, month: number, day: number): number {
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day); // Date.UTC would take the years 0–99 for 1900–1999
  return date.getTime() / 1000;
}

function readEpoch(value: JsonNumber): Read {
  const number = toNumber(value);
  if (Number.isNaN(number)) return { error: 'NaN values not permitted' };
  if (isInt(value) && Math.abs(number) >= 2 ** 63) return { error: TOO_LATE };
  return fromEpoch(number);
}

function fromEpoch(epoch: number): Read {
  // Units per second: the remainder is taken before dividing, so that whole milliseconds stay exact.
  const units = Math.abs(epoch) > MILLISECONDS_FROM ? 1000 : 1;
  let seconds = Math.floor(epoch / units);
  let micros = Math.round(((epoch - seconds * units) * 1_000_000) / units);
  if (micros === 1_000_000) {
    micros = 0;
    seconds++;
  }
  if (seconds > LAST_SECOND) return { error: TOO_LATE };
  return seconds < FIRST_SECOND ? { error: TOO_EARLY } : { seconds, micros, offset: 0 };
}

/** UTC, unless the offset moves the time out of the years 1–9999: then with its own offset. */
function formatInstant({ seconds, micros, offset }: Instant): string {
  const outside = seconds < YEAR_ONE || seconds > LAST_SECOND;
  const shown = outside ? seconds + offset * 60 : seconds;
  const fraction = micros === 0 ? '' : `.${String(micros).padStart(6, '0')}`;
  return new Date(shown * 1000).toISOString().slice(0, 19) + fraction + (outside ? offsetText(offset) : 'Z');
}

function offsetText(offset: number): string {
  const minutes = Math.abs(offset);
  const two = (value: number): string => String(value).padStart(2, '0');
  return `${offset < 0 ? '-' : '+'}${two(Math.floor(minutes / 60))}:${two(minutes % 60)}`;
}
