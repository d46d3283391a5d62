// Answers of whoever speaks of sessions: a run that one took, and what they refuse, `{"detail":{"code":…,"message":…}}`, as programs
// have to tell the cases apart.

import { SessionRefusal, type SessionRefusalCode } from '../../managed/errors.ts';
import type { AcceptedRun } from '../../managed/submit.ts';
import { jsonResponse } from '../responses.ts';
import { REV_HEADER } from '../session-query.ts';

/** All others are conflicts with what the session is. */
const STATUS: Partial<Record<SessionRefusalCode, number>> = {
  session_not_found: 404,
  session_contended: 503,
};

/** Answers with what `work` resolves with, or with what a session refused. */
export async function sessionAnswer(work: () => Promise<Response>): Promise<Response> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof SessionRefusal)) throw error;
    const { code, message } = error;
    return jsonResponse(STATUS[code] ?? 409, JSON.stringify({ detail: { code, message } }));
  }
}

/** The answer to a run that a session took. */
export function acceptedRun(submit: () => Promise<AcceptedRun>): Promise<Response> {
  return sessionAnswer(async () => {
    const { record, rev } = await submit();
    const body = JSON.stringify({ run_id: record.run_id, status: record.status });
    return jsonResponse(202, body, { [REV_HEADER]: String(rev) });
  });
}
