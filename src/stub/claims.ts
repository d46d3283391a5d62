// What a token says (spec 05 §2.2): its claims, written in the reference's order without nulls, and read strictly: unknown
// members at any level, other types and other values are refused. Encryption and time are tokens.ts'.

import { isJsonObject } from '../base/json.ts';
import { type ExecutionContext, executionContextConfig } from '../protocol/execution-context.ts';
import { compile } from '../validation/walker.ts';

export const ISSUER = 'dify-agent-server';
export const AUDIENCE = 'dify-agent-agent-stub';
/** The only scope; it covers every operation. */
export const SCOPE = 'agent_stub:connect';

/** For whom a token speaks. Times in seconds. */
export interface Claims {
  readonly iat: number;
  readonly nbf: number;
  readonly exp: number;
  readonly jti: string;
  readonly context: ExecutionContext;
  readonly sessionId: string | null;
}

/** The claims as JSON text. */
export function writeClaims({ iat, nbf, exp, jti, context, sessionId }: Claims): string {
  return JSON.stringify({
    iss: ISSUER,
    aud: AUDIENCE,
    iat,
    nbf,
    exp,
    jti,
    scope: [SCOPE],
    execution_context: Object.fromEntries(Object.entries(context).filter(([, value]) => value !== null)),
    ...(sessionId === null ? {} : { shell: { session_id: sessionId } }),
  });
}

const CLAIM_NAMES = new Set(['iss', 'aud', 'iat', 'nbf', 'exp', 'jti', 'scope', 'execution_context', 'shell']);

/**
 * Reads claims. Rejections name the cause for the log; callers of the stub never see them (spec 05 §2.3). Times are not
 * compared with a clock here.
 */
export function readClaims(text: string): Claims | { readonly problem: string } {
  const invalid = { problem: 'Agent Stub bearer token payload is invalid' };
  const claims = parse(text);
  if (!isJsonObject(claims)) return invalid;
  for (const name of Object.keys(claims)) if (!CLAIM_NAMES.has(name)) return invalid;
  const { iss, aud, iat, nbf, exp, jti, scope, execution_context } = claims;
  if (typeof iss !== 'string' || typeof aud !== 'string' || typeof jti !== 'string' || jti === '') return invalid;
  if (!isTime(iat) || !isTime(nbf) || !isTime(exp)) return invalid;
  if (!Array.isArray(scope) || !scope.every((item) => typeof item === 'string')) return invalid;
  const context = readContext(execution_context);
  const sessionId = readSession(claims.shell);
  if (!context.ok || sessionId === undefined) return invalid;
  if (iss !== ISSUER) return { problem: `Agent Stub bearer token issuer must be '${ISSUER}'` };
  if (aud !== AUDIENCE) return { problem: `Agent Stub bearer token audience must be '${AUDIENCE}'` };
  if (!scope.includes(SCOPE)) return { problem: `Agent Stub bearer token scope must include '${SCOPE}'` };
  return { iat, nbf, exp, jti, context: context.value, sessionId };
}

// Compiled once per schema by the walker itself.
const readContext = (value: unknown) => compile(executionContextConfig)(value, { mode: 'json' });

/** Null: there is none. Undefined: not one. */
function readSession(shell: unknown): string | null | undefined {
  if (shell === undefined) return null;
  if (!isJsonObject(shell) || Object.keys(shell).some((name) => name !== 'session_id')) return undefined;
  const { session_id: id } = shell;
  return typeof id === 'string' ? id : undefined;
}

function isTime(value: unknown): value is number {
  return Number.isSafeInteger(value);
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
