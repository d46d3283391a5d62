// Everything a sandbox may ask (spec 05 §4), whatever the transport: HTTP routes and the gRPC service call these with a caller
// and what it sent. Loaded at the first request, so that a server that nobody asks pays nothing.

import type { Clock } from '../base/clock.ts';
import type { Logger } from '../observe/logger.ts';
import type { DifyApiClient } from '../peers/dify-api/client.ts';
import type { ConnectAnswer } from './answers.ts';
import { type Authenticator, createAdmission, createAuthenticator, type StubCaller } from './caller.ts';
import { type AssetBytes, type ConfigOperations, createConfigOperations } from './config-assets.ts';
import { createDriveOperations, type DriveOperations } from './drive.ts';
import { notConfigured, StubError } from './errors.ts';
import { createFileOperations, type FileOperations } from './files.ts';
import { createInnerApi } from './inner.ts';
import { createRateLimit } from './rate-limit.ts';
import { valid } from './requests.ts';
import type { Revocations } from './revocations.ts';
import { connectRequest } from './schemas.ts';
import type { Tickets } from './tickets.ts';
import type { TokenCodec } from './tokens.ts';

/**
 * The operations. Call `authenticate` before anything of a request is read (§12.1), then one of the others with what it
 * resolved to. They reject with InvalidStubRequest (422), StubError (its status), or the signal's reason.
 */
export interface StubOperations {
  readonly authenticate: Authenticator;
  /** Says hello. Nothing is kept of it, and there is no end to it. */
  connect(caller: StubCaller, input: unknown): ConnectAnswer;
  readonly files: FileOperations;
  readonly drive: DriveOperations;
  readonly config: Omit<ConfigOperations, 'download'>;
  /** The bytes behind a URL that `requestDownload` made for a config asset. Needs no token: the ticket is one. */
  downloadAsset(ticket: string, signal: AbortSignal): Promise<AssetBytes>;
}

/** What they are made of. */
export interface StubOperationsDeps {
  /** Null: no secret. */
  readonly tokens: TokenCodec | null;
  readonly tickets: Tickets | null;
  readonly revocations: Revocations;
  /** Null: no Dify API. */
  readonly api: DifyApiClient | null;
  /** See ConfigOperationsDeps. */
  readonly publicUrl: string | null;
  readonly rateLimitPerSecond: number;
  readonly fileTimeoutSeconds: number;
  readonly clock: Clock;
  readonly logger: Logger;
}

export function createStubOperations(deps: StubOperationsDeps): StubOperations {
  const { tokens, tickets, revocations, api: client, publicUrl, clock, logger } = deps;
  const rateLimit = createRateLimit(deps.rateLimitPerSecond);
  const admission = createAdmission({ revocations, rateLimit, clock, logger });
  const inner = { client, logger, confirm: admission.confirm };
  const config = createConfigOperations({
    api: createInnerApi('config', { ...inner, totalMs: null }),
    tickets,
    publicUrl,
  });
  return {
    authenticate: createAuthenticator({ tokens, admission, logger }),
    connect({ tokenId }, input) {
      valid(connectRequest, input);
      admission.confirm(tokenId);
      return { connection_id: crypto.randomUUID(), status: 'connected' };
    },
    files: createFileOperations({
      api: createInnerApi('file', { ...inner, totalMs: deps.fileTimeoutSeconds * 1000 }),
      configDownload: config.download,
    }),
    drive: createDriveOperations(createInnerApi('drive', { ...inner, totalMs: null })),
    config,
    async downloadAsset(text, signal) {
      if (tickets === null) throw notConfigured();
      const ticket = await tickets.read(text);
      if (ticket === null || revocations.has(ticket.caller.tokenId)) throw new StubError(404, 'Not Found');
      admission.admit(ticket.caller.tokenId);
      return config.pull(ticket.caller, ticket.kind, ticket.name, signal);
    },
  };
}
