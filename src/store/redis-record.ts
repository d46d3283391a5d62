// The record of a run and the wish to cancel it as text in Redis (spec 01 §6): written exactly as the reference writes them,
// read from whatever another implementation made of them: keys in any order, `\/`, `+00:00`, keys of newer vintages.

import { rfc3339 } from '../base/clock.ts';
import type { RunRecord, RunStatus, TerminalStatus } from '../protocol/runs.ts';
import type { CancelIntent } from '../runs/ports.ts';

/** The record as it is stored. */
export function recordText({ run_id, status, created_at, updated_at, error }: RunRecord): string {
  return JSON.stringify({ run_id, status, created_at, updated_at, error });
}

/** What finalise.lua puts around the `created_at` of the record that it replaces. */
export interface RecordFrame {
  /** `{"run_id":"…","status":"…","created_at":"` */
  readonly head: string;
  /** `","error":…}`, to follow the value of `updated_at`. */
  readonly tail: string;
}

/** `errorType` is left out where it is null: implementations of the seed refuse the key. */
export function recordFrame(
  runId: string,
  status: TerminalStatus,
  error: string | null,
  errorType: string | null,
): RecordFrame {
  const newer = errorType === null ? '' : `,"error_type":${JSON.stringify(errorType)}`;
  return {
    head: `{"run_id":${JSON.stringify(runId)},"status":"${status}","created_at":"`,
    tail: `","error":${JSON.stringify(error)}${newer}}`,
  };
}

/** Reads a record; null when it is corrupt. The requested run id overrides the stored one, as it does in events. */
export function parseRecord(runId: string, text: string): RunRecord | null {
  const fields = parseObject(text);
  if (fields === null) return null;
  const { status, created_at, updated_at, error = null, error_type } = fields;
  const createdAt = wireTime(created_at);
  const updatedAt = wireTime(updated_at);
  if (!isRunStatus(status) || createdAt === null || updatedAt === null) return null;
  if (error !== null && typeof error !== 'string') return null;
  const record = { run_id: runId, status, created_at: createdAt, updated_at: updatedAt, error };
  return typeof error_type === 'string' ? { ...record, error_type } : record;
}

/** The intent as it is stored. */
export function intentText({ reason, message, requestedAt }: CancelIntent): string {
  return JSON.stringify({ reason, message, requested_at: requestedAt });
}

/** Reads an intent. That there is one counts: what cannot be read of it is missing. */
export function parseIntent(text: string): CancelIntent {
  const { reason, message, requested_at } = parseObject(text) ?? {};
  return {
    reason: typeof reason === 'string' ? reason : null,
    message: typeof message === 'string' ? message : null,
    requestedAt: wireTime(requested_at) ?? rfc3339(0),
  };
}

function parseObject(text: string): { readonly [key: string]: unknown } | null {
  try {
    const value: unknown = JSON.parse(text);
    // A JSON object is a dictionary of unknown values.
    return typeof value === 'object' && value !== null ? (value as { readonly [key: string]: unknown }) : null;
  } catch {
    return null;
  }
}

/** Our own form, which needs no conversion. */
const WIRE_TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{6})?Z$/;
const ZONED_TIME = /^(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?(Z|z|[+-]\d\d:?\d\d)$/;

/** A time as the wire prints it. Null: not a time, or one without zone, which the reference refuses too (spec 01 §6). */
function wireTime(value: unknown): string | null {
  if (typeof value !== 'string') return null;
  if (WIRE_TIME.test(value)) return value;
  const match = ZONED_TIME.exec(value);
  if (match === null) return null;
  const [, date = '', minute = '', second = '00', fraction = '', zone = 'Z'] = match;
  const offset = zone.length === 1 ? 'Z' : `${zone.slice(0, 3)}:${zone.slice(-2)}`;
  const seconds = Date.parse(`${date}T${minute}:${second}${offset}`) / 1000;
  return Number.isNaN(seconds) ? null : rfc3339(seconds * 1_000_000 + Number(fraction.padEnd(6, '0').slice(0, 6)));
}

const STATUSES: ReadonlySet<unknown> = new Set<RunStatus>(['running', 'succeeded', 'failed', 'cancelled']);

export function isRunStatus(value: unknown): value is RunStatus {
  return STATUSES.has(value);
}
