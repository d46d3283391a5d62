// What a shell job gets to reach the stub (spec 05 §3): both generations of names, a fresh token, its drive. All or nothing.

import type { StubAddresses } from '../config/stub.ts';
import type { StubEnvironments } from '../workspaces/ports.ts';
import { driveBase } from './drive-base.ts';
import type { Revocations } from './revocations.ts';
import type { TokenCodec } from './tokens.ts';

/** What environments are made of. */
export interface StubEnvironmentsDeps {
  readonly addresses: StubAddresses;
  readonly tokens: TokenCodec;
  /** Where a token goes when its run is over. */
  readonly revocations: Revocations;
}

/** Makes a fresh environment per job. */
export function createStubEnvironments(deps: StubEnvironmentsDeps): StubEnvironments {
  const { addresses, tokens, revocations } = deps;
  return {
    async issue({ context, sessionId, driveRef }) {
      const base = driveBase(driveRef);
      const { token, tokenId } = await tokens.issue(context, sessionId);
      return {
        env: {
          DIFY_AGENT_STUB_URL: addresses.url,
          DIFY_AGENT_STUB_API_BASE_URL: addresses.apiBaseUrl,
          DIFY_AGENT_STUB_AUTH_JWE: token,
          DIFY_AGENT_STUB_DRIVE_BASE: base,
        },
        secrets: [token],
        revoke: () => revocations.add(tokenId),
      };
    },
  };
}
