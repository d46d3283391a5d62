// The tokens that jobs of each session got from this process. A later run of the session still masks them: a job of an
// earlier one may have written its token to a file. Another process does not know them; they are worthless by then, because
// every run revokes its own.

import type { SessionId } from '../../workspaces/session.ts';
import { createSecretTexts, type SecretTexts } from './secrets.ts';

/** Sessions and texts that are remembered; the session that was used longest ago makes room. A token is four texts, about 1 KB. */
const MAX_SESSIONS = 1024;
const MAX_TEXTS = 32_768;

/** Issued tokens by session; one per process. */
export interface IssuedTokens {
  /**
   * Those of a session; what is added to it is remembered until others need the room. A run asks once and keeps what it got: it
   * must not lose its own.
   */
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
      let count = 0;
      for (const { size } of sessions.values()) count += size;
      for (const [oldest, { size }] of sessions) {
        if (oldest === id || (sessions.size <= MAX_SESSIONS && count <= MAX_TEXTS)) break;
        sessions.delete(oldest);
        count -= size;
      }
      return texts;
    },
    forget: (id) => void sessions.delete(id),
    get size() {
      return sessions.size;
    },
  };
}
