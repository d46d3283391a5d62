// Who asks: what a checked token says of its holder. Every operation takes it, and takes identity from nowhere else.

import type { Clock } from '../base/clock.ts';
import type { Logger } from '../observe/logger.ts';
import type { ExecutionContext } from '../protocol/execution-context.ts';
import { notConfigured, tooManyRequests, unauthorized } from './errors.ts';
import type { RateLimit } from './rate-limit.ts';
import type { Revocations } from './revocations.ts';
import type { TokenCodec } from './tokens.ts';

/** The holder of a token. */
export interface StubCaller {
  /** `jti`. */
  readonly tokenId: string;
  readonly context: ExecutionContext;
  readonly sessionId: string | null;
}

/** Whether the holder of a token that is good as such may go on. Throws StubError. */
export interface Admission {
  /** 401 when the token's run is over. Asked again at the last moment: a run may end while its caller is still sending. */
  confirm(tokenId: string): void;
  /** Counts a request: 401 as above, 429 when there are too many. */
  admit(tokenId: string): void;
}

/** What admission looks at. */
export interface AdmissionDeps {
  readonly revocations: Revocations;
  readonly rateLimit: RateLimit;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Asks what is remembered of tokens. */
export function createAdmission({ revocations, rateLimit, clock, logger }: AdmissionDeps): Admission {
  const confirm = (tokenId: string): void => {
    if (!revocations.has(tokenId)) return;
    logger.debug('agent stub: token refused', { problem: 'its run is over', token_id: tokenId });
    throw unauthorized();
  };
  return {
    confirm,
    admit(tokenId) {
      confirm(tokenId);
      const wait = rateLimit.take(tokenId, clock.nowMicros() / 1000);
      if (wait === 0) return;
      logger.debug('agent stub: too many requests with one token', { token_id: tokenId });
      throw tooManyRequests(wait);
    },
  };
}

/** What is asked about every request. */
export interface AuthenticatorDeps {
  /** Null: no secret is configured. */
  readonly tokens: TokenCodec | null;
  readonly admission: Admission;
  readonly logger: Logger;
}

/** The caller of a request by its `Authorization`. Rejects with StubError: 503, 401, 429. */
export type Authenticator = (authorization: string | null) => Promise<StubCaller>;

/** Checks tokens: sealed by us, in time, not revoked, not too often. */
export function createAuthenticator({ tokens, admission, logger }: AuthenticatorDeps): Authenticator {
  return async (authorization) => {
    if (tokens === null) throw notConfigured();
    const verdict = await tokens.check(authorization);
    if (!verdict.ok) {
      logger.debug('agent stub: token refused', { problem: verdict.problem });
      throw unauthorized();
    }
    const { jti: tokenId, context, sessionId } = verdict.claims;
    admission.admit(tokenId);
    return { tokenId, context, sessionId };
  };
}
