// What the session routes refuse, and with which status: `{"detail":{"code":…,"message":…}}`, as programs have to tell the cases apart.

import { SessionRefusal, type SessionRefusalCode } from '../../managed/errors.ts';
import { jsonResponse } from '../responses.ts';

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
