// The tokens that jobs of each session got from this process. A later run of the session still masks them: a job of an
// earlier one may have written its token to a file. Another process does not know them; they are worthless by then, because
// every run revokes its own.

import type { SessionId } from '../../workspaces/session.ts';
import { createSecretTexts, type SecretTexts } from './secrets.ts';

/** Sessions that are remembered; the one that was used longest ago makes room. */
const MAX_SESSIONS = 1024;

/** Issued tokens by session; one per process. */
export interface IssuedTokens {
  /** Those of a session; what is added to it is remembered. */
  of(id: SessionId): SecretTexts;
  /** The session is over. */
  forget(id: SessionId): void;
  readonly size: number;
}

/** Nothing was issued yet. */
export function createIssuedTokens(): IssuedTokens {
  const sessions = new Map<SessionId, SecretTexts>();
  return {
    of(id) {
      const texts = sessions.get(id) ?? createSecretTexts();
      sessions.delete(id);
      sessions.set(id, texts);
      for (const oldest of sessions.keys()) {
        if (sessions.size <= MAX_SESSIONS) break;
        sessions.delete(oldest);
      }
      return texts;
    },
    forget: (id) => void sessions.delete(id),
    get size() {
      return sessions.size;
    },
  };
}
