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

/** What is asked about every request. */
export interface AuthenticatorDeps {
  /** Null: no secret is configured. */
  readonly tokens: TokenCodec | null;
  readonly revocations: Revocations;
  readonly rateLimit: RateLimit;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** The caller of a request by its `Authorization`. Rejects with StubError: 503, 401, 429. */
export type Authenticator = (authorization: string | null) => Promise<StubCaller>;

/** Checks tokens: sealed by us, in time, not revoked, not too often. */
export function createAuthenticator(deps: AuthenticatorDeps): Authenticator {
  const { tokens, revocations, rateLimit, clock, logger } = deps;
  return async (authorization) => {
    if (tokens === null) throw notConfigured();
    const verdict = await tokens.check(authorization);
    if (!verdict.ok) {
      logger.debug('agent stub: token refused', { problem: verdict.problem });
      throw unauthorized();
    }
    const { jti: tokenId, context, sessionId } = verdict.claims;
    if (revocations.has(tokenId)) {
      logger.debug('agent stub: token refused', { problem: 'its run is over', token_id: tokenId });
      throw unauthorized();
    }
    const wait = rateLimit.take(tokenId, clock.nowMicros() / 1000);
    if (wait > 0) {
      logger.debug('agent stub: too many requests with one token', { token_id: tokenId });
      throw tooManyRequests(wait);
    }
    return { tokenId, context, sessionId };
  };
}
