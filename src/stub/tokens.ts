// The bearer tokens of the stub (spec 05 §2): made for a job, checked at every request. How they are sealed is sealer.ts', what
// they say claims.ts'; here are times and the header they travel in.

import type { Clock } from '../base/clock.ts';
import { CodedError } from '../base/errors.ts';
import type { ExecutionContext } from '../protocol/execution-context.ts';
import { type Claims, readClaims, writeClaims } from './claims.ts';
import { createOpenedTokens } from './opened.ts';
import { createSealer, MAX_SEALED_CHARS, type Secrets } from './sealer.ts';

/** HKDF's info (spec 05 §2.1). */
const PURPOSE = 'dify-agent:agent-stub:jwe:v1';
/** How far another host's clock may be ahead of ours, in seconds (§12.5). */
const NOT_BEFORE_LEEWAY = 5;
const SCHEME = 'Bearer ';
const UNREADABLE = 'failed to decrypt Agent Stub bearer token';

/** A token that was made. */
export interface IssuedToken {
  readonly token: string;
  readonly tokenId: string;
  /** Seconds since the epoch. */
  readonly expiresAt: number;
}

/** A token's claims, or why it is refused: for the log, never for the caller. */
export type TokenVerdict =
  | { readonly ok: true; readonly claims: Claims }
  | { readonly ok: false; readonly problem: string };

/** Makes and checks tokens. */
export interface TokenCodec {
  /** Rejects with CodedError `stub_token_too_long` when the context is too large for a token. */
  issue(context: ExecutionContext, sessionId: string | null): Promise<IssuedToken>;
  /** `authorization`: the header's value, or null. Never rejects for what a caller sends. */
  check(authorization: string | null): Promise<TokenVerdict>;
}

/** What a codec is made of. */
export interface TokenCodecOptions {
  readonly secrets: Secrets;
  readonly ttlSeconds: number;
  readonly clock: Clock;
}

/** A codec. Nothing is derived or loaded before its first use. */
export function createTokenCodec({ secrets, ttlSeconds, clock }: TokenCodecOptions): TokenCodec {
  const sealer = createSealer(secrets, PURPOSE);
  const opened = createOpenedTokens();

  /** What a token says, or why it says nothing. */
  async function read(token: string): Promise<Claims | { readonly problem: string }> {
    if (token.length > MAX_SEALED_CHARS) return { problem: UNREADABLE };
    const known = opened.get(token);
    if (known !== undefined) return known;
    const text = await sealer.open(token);
    if (text === null) return { problem: UNREADABLE };
    const claims = readClaims(text);
    if (!('problem' in claims)) opened.add(token, claims);
    return claims;
  }

  return {
    async issue(context, sessionId) {
      const iat = secondsOf(clock);
      const claims = { iat, nbf: iat, exp: iat + ttlSeconds, jti: crypto.randomUUID(), context, sessionId };
      const token = await sealer.seal(writeClaims(claims));
      if (token.length > MAX_SEALED_CHARS) {
        throw new CodedError('stub_token_too_long', 'the execution context is too large for an Agent Stub token');
      }
      return { token, tokenId: claims.jti, expiresAt: claims.exp };
    },
    async check(authorization) {
      if (authorization === null || !authorization.startsWith(SCHEME)) {
        return refused('Authorization must be a Bearer compact JWE token');
      }
      const token = authorization.slice(SCHEME.length).trim();
      if (token === '') return refused('Authorization bearer token must not be empty');
      const claims = await read(token);
      if ('problem' in claims) return refused(claims.problem);
      const now = secondsOf(clock);
      if (now + NOT_BEFORE_LEEWAY < claims.nbf) return refused('Agent Stub bearer token is not valid yet');
      if (now >= claims.exp) return refused('Agent Stub bearer token is expired');
      return { ok: true, claims };
    },
  };
}

/** Whole seconds since the epoch. */
export function secondsOf(clock: Clock): number {
  return Math.floor(clock.nowMicros() / 1_000_000);
}

function refused(problem: string): TokenVerdict {
  return { ok: false, problem };
}
