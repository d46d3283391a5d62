// The four tools as the model sees them, and what it sends as arguments (spec 04 §2.5). What they do is session.ts.

import { readArguments } from '../../agent/arguments.ts';
import type { ArgumentsResult, FunctionTool, RawArguments } from '../../agent/tools.ts';
import type { JsonObject, JsonValue } from '../../base/json.ts';
import { float, model, type Out, optional, required, type Schema, str } from '../../protocol/dialect.ts';
import type { Issue } from '../../validation/issue.ts';
import { compile } from '../../validation/walker.ts';
import { floatRepr, type JsonNumber, toNumber } from '../../wiretext/numbers.ts';
import type { ShellSession } from './session.ts';

/** Seconds. Servers refuse longer waits, or never answer (spec 04 §5.16). */
const MIN_TIMEOUT = 0.1;
const MAX_TIMEOUT = 300;
const DEFAULT_TIMEOUT = 30;

/** UTF-16 units of a script or an input. */
const MAX_TEXT = 1_048_576;

const DESCRIPTIONS = {
  shell_run: 'Start a shell script as a job in the workspace and return its first output.',
  shell_wait: 'Wait for new output or for the end of a job that was started before.',
  shell_input: 'Send text to a running job as if it were typed, then wait for its output.',
  shell_interrupt: 'Interrupt a running job; its output can still be read afterwards.',
} as const;

/** Seconds with a default; what is sent beyond the bounds is moved to them. */
const seconds = (byDefault: number) => optional<JsonNumber>(float(), byDefault);

const runArguments = model(
  'shell_run',
  { script: required(str()), timeout: seconds(DEFAULT_TIMEOUT) },
  { flavour: 'typed_dict' },
);
const waitArguments = model(
  'shell_wait',
  { job_id: required(str()), timeout: seconds(DEFAULT_TIMEOUT) },
  { flavour: 'typed_dict' },
);
const inputArguments = model(
  'shell_input',
  { job_id: required(str()), text: required(str()), timeout: seconds(DEFAULT_TIMEOUT) },
  { flavour: 'typed_dict' },
);
const interruptArguments = (graceSeconds: number) =>
  model(
    'shell_interrupt',
    { job_id: required(str()), grace_seconds: seconds(graceSeconds) },
    { flavour: 'typed_dict' },
  );

/** The tools of a session; `graceSeconds` is what `shell_interrupt` grants when the model says nothing. */
export function shellTools(session: () => ShellSession, graceSeconds: number): readonly FunctionTool[] {
  return [
    tool('shell_run', { script: TEXT, timeout: number(DEFAULT_TIMEOUT) }, runArguments, ({ script, timeout }, signal) =>
      session().run({ script, timeout: wait(timeout) }, signal),
    ),
    tool(
      'shell_wait',
      { job_id: TEXT, timeout: number(DEFAULT_TIMEOUT) },
      waitArguments,
      ({ job_id, timeout }, signal) => session().wait(job_id, wait(timeout), signal),
    ),
    tool(
      'shell_input',
      { job_id: TEXT, text: TEXT, timeout: number(DEFAULT_TIMEOUT) },
      inputArguments,
      ({ job_id, text, timeout }, signal) => session().input(job_id, text, wait(timeout), signal),
    ),
    tool(
      'shell_interrupt',
      { job_id: TEXT, grace_seconds: number(graceSeconds) },
      interruptArguments(graceSeconds),
      ({ job_id, grace_seconds }, signal) =>
        session().interrupt(job_id, within(grace_seconds, 0, MAX_TIMEOUT, graceSeconds), signal),
    ),
  ];
}

function tool<S extends Schema<object>>(
  name: keyof typeof DESCRIPTIONS,
  properties: JsonObject,
  schema: S,
  call: (args: Out<S>, signal: AbortSignal) => Promise<JsonValue>,
): FunctionTool {
  const validate = compile<object>(schema);
  const required = Object.entries(properties).flatMap(([key, property]) => (property === TEXT ? [key] : []));
  return {
    kind: 'function',
    sequential: false,
    definition: {
      name,
      description: DESCRIPTIONS[name],
      parameters: { additionalProperties: false, properties, required, type: 'object' },
    },
    validate(args) {
      return checked(args, (value) => validate(value, { mode: typeof args === 'string' ? 'json' : 'python' }));
    },
    call: async (args, signal) => await call(args as unknown as Out<S>, signal), // what `validate` of this schema has let through
  };
}

function checked(
  args: RawArguments,
  validate: (value: JsonObject) => ReturnType<ReturnType<typeof compile<object>>>,
): ArgumentsResult {
  const read = readArguments(args);
  if (!read.ok) return read;
  const valid = validate(read.value);
  if (!valid.ok) return { ok: false, retry: valid.issues.map(details) };
  const tooLong = Object.entries(valid.value).find(([, value]) => typeof value === 'string' && value.length > MAX_TEXT);
  if (tooLong !== undefined) return { ok: false, retry: `${tooLong[0]} must have at most ${MAX_TEXT} characters.` };
  return { ok: true, value: valid.value as JsonObject }; // texts and numbers
}

function details({ type, loc, msg, input }: Issue) {
  return { type, loc, msg, input: input as JsonValue }; // a part of what the model sent, which is JSON
}

const TEXT: JsonObject = Object.freeze({ type: 'string' });

/** Floats keep their point on the wire: `30.0`. */
function number(byDefault: number): JsonObject {
  return { default: JSON.rawJSON(floatRepr(byDefault)), type: 'number' };
}

function wait(timeout: JsonNumber): number {
  return within(timeout, MIN_TIMEOUT, MAX_TIMEOUT, DEFAULT_TIMEOUT);
}

function within(value: JsonNumber, least: number, most: number, byDefault: number): number {
  const number = toNumber(value);
  return Number.isNaN(number) ? byDefault : Math.min(Math.max(number, least), most);
}
