// What managed sessions refuse, by code. The status of the answer is server/'s.

import { CodedError } from '../base/errors.ts';

/** Codes that callers see. */
export type SessionRefusalCode =
  | 'session_not_found'
  | 'session_busy'
  | 'session_queue_full'
  | 'session_ending'
  | 'session_snapshot_exists'
  | 'session_snapshot_too_large'
  | 'session_snapshot_unreadable'
  | 'session_not_awaiting'
  | 'session_empty'
  | 'session_exists'
  | 'session_holds_workspace'
  | 'session_contended';

/** A session does not allow what was asked for. The text is for the caller. */
export class SessionRefusal extends CodedError {
  declare readonly code: SessionRefusalCode;

  constructor(code: SessionRefusalCode, message: string) {
    super(code, message);
  }
}

/** Nothing begins in a session that is over. */
export function sessionEnding(): SessionRefusal {
  return new SessionRefusal('session_ending', 'the session is being deleted');
}

/** What is stored was sealed with a secret that this server does not have. */
export function snapshotUnreadable(): SessionRefusal {
  return new SessionRefusal('session_snapshot_unreadable', 'the stored snapshot of the session cannot be opened');
}

/** No session of this key. */
export function sessionNotFound(): SessionRefusal {
  return new SessionRefusal('session_not_found', 'session not found');
}
