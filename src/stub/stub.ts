// The stub of one process: what shell jobs get, and what they may ask. Decides from the settings what there is; its parts are
// loaded when somebody needs them, so that a server without a stub, or one that nobody asks yet, pays nothing.

import type { Clock } from '../base/clock.ts';
import type { Settings } from '../config/settings.ts';
import { difyApiAddress, type StubAddresses, stubAddresses } from '../config/stub.ts';
import type { Logger } from '../observe/logger.ts';
import type { Probe } from '../observe/probe.ts';
import type { DifyApiClient } from '../peers/dify-api/client.ts';
import type { StubEnvironments } from '../workspaces/ports.ts';
import type { StubOperations } from './operations.ts';
import type { Revocations } from './revocations.ts';
import type { Secrets } from './sealer.ts';
import type { TokenCodec } from './tokens.ts';

/** The stub. */
export interface Stub {
  /** Null: no URL or no secret is configured, so shell jobs get nothing. */
  readonly environments: StubEnvironments | null;
  /** What HTTP routes and the gRPC service call. Made at the first call. */
  operations(): Promise<StubOperations>;
  /** How busy the connections to the Dify API are. Null: none is configured. */
  load(): Load | null;
  /** Closes idle connections to the Dify API. */
  close(): void;
}

/** Calls that hold a connection, and calls that wait for one. */
interface Load {
  readonly active: number;
  readonly waiting: number;
}

/** What of the settings matters. */
export type StubSettingsPart = Pick<Settings, 'stub' | 'difyApi' | 'serverSecretKey' | 'serverSecretKeysPrevious'>;

/** What it is given. */
export interface StubDeps {
  readonly clock: Clock;
  readonly logger: Logger;
  /** `User-Agent` for the Dify API. */
  readonly userAgent: string;
  /** Told of requests to the Dify API. Default: nobody. */
  readonly probe?: Pick<Probe, 'peer'>;
}

/** What environments and operations share: a token that is revoked here is refused there. */
interface Shared {
  /** Null: no secret. */
  readonly tokens: TokenCodec | null;
  readonly revocations: Revocations;
}

/** Builds it. Nothing is loaded, derived or opened. */
export function createStub(settings: StubSettingsPart, deps: StubDeps): Stub {
  const { stub, difyApi, serverSecretKey: current, serverSecretKeysPrevious: previous } = settings;
  const { clock, logger, userAgent } = deps;
  const addresses = stubAddresses(stub);
  const secrets: Secrets | null = current === null ? null : { current, previous };
  const address = difyApiAddress(difyApi);
  let client: DifyApiClient | null = null;

  const shared = once(async (): Promise<Shared> => {
    const [{ createTokenCodec }, { createRevocations }] = await Promise.all([
      import('./tokens.ts'),
      import('./revocations.ts'),
    ]);
    const tokens = secrets && createTokenCodec({ secrets, ttlSeconds: stub.tokenTtlSeconds, clock });
    return { tokens, revocations: createRevocations() };
  });

  const operations = once(async (): Promise<StubOperations> => {
    const [{ createStubOperations }, { createTickets }, { createDifyApiClient }, parts] = await Promise.all([
      import('./operations.ts'),
      import('./tickets.ts'),
      import('../peers/dify-api/client.ts'),
      shared(),
    ]);
    client =
      address &&
      createDifyApiClient(
        { ...difyApi, ...address },
        { userAgent, ...(deps.probe === undefined ? {} : { probe: deps.probe }) },
      );
    return createStubOperations({
      ...parts,
      tickets: secrets && createTickets(secrets, clock),
      api: client,
      publicUrl: [addresses?.apiBaseUrl, addresses?.url].find((url) => url?.startsWith('http')) ?? null,
      rateLimitPerSecond: stub.rateLimitPerSecond,
      fileTimeoutSeconds: difyApi.fileTimeoutSeconds,
      clock,
      logger,
    });
  });

  return {
    environments: addresses && secrets && lateEnvironments(addresses, shared),
    operations,
    load: () => (address === null ? null : (client?.load() ?? { active: 0, waiting: 0 })),
    close: () => client?.close(),
  };
}

/** Environments that are made when the first job needs one. */
function lateEnvironments(addresses: StubAddresses, shared: () => Promise<Shared>): StubEnvironments {
  const load = once(async () => {
    const [{ createStubEnvironments }, { tokens, revocations }] = await Promise.all([
      import('./environments.ts'),
      shared(),
    ]);
    if (tokens === null) throw new Error('environments without a secret');
    return createStubEnvironments({ addresses, tokens, revocations });
  });
  return { issue: async (request) => (await load()).issue(request) };
}

/** The same promise for everybody. */
function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | null = null;
  return () => {
    made ??= make();
    return made;
  };
}
