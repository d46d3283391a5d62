// The one frozen value that every room is configured by. Rooms take the part they need; none of them reads process.env.
// variables.ts declares where each field comes from, load.ts fills it.

import type { LogFormat, LogLevel } from '../observe/logger.ts';
import type { TraceOptions } from '../observe/traces/options.ts';

/** The plugin daemon and how its HTTP client behaves (spec 03 §2, 01 §7.7). Durations in seconds; 0 is a legal value. */
export interface PluginDaemonSettings {
  /** e.g. `http://localhost:5002`, without trailing `/`. May carry user info: mask it before printing. */
  readonly url: string;
  /** Secret. Empty when not configured. */
  readonly apiKey: string;
  readonly connectTimeoutSeconds: number;
  readonly readTimeoutSeconds: number;
  readonly writeTimeoutSeconds: number;
  readonly poolTimeoutSeconds: number;
  /** For one call in all; null: no limit. */
  readonly requestTimeoutSeconds: number | null;
  readonly maxConnections: number;
  readonly maxKeepaliveConnections: number;
  readonly keepaliveExpirySeconds: number;
}

/** The shell provider (spec 04 §1). Null: not configured. */
export interface ShellctlSettings {
  readonly entrypoint: string | null;
  /** Secret. */
  readonly authToken: string | null;
  /** Calls at once. */
  readonly maxConnections: number;
  /** For the install commands of a new workspace. */
  readonly bootstrapTimeoutSeconds: number;
  /** RE2 sources; matches are masked in shell output. */
  readonly redactPatterns: readonly string[];
}

/** Who may call (spec 01 §1.4). */
export interface AccessSettings {
  /** Secret. Null: anybody. */
  readonly apiToken: string | null;
  /** Secrets that are accepted beside `apiToken`. */
  readonly apiTokensPrevious: readonly string[];
  /** Listening beyond loopback without a token is meant. */
  readonly allowAnonymous: boolean;
}

/** Both null (HTTP) or both set (HTTPS). */
export interface TlsSettings {
  /** PEM file: the certificate and its chain. */
  readonly certFile: string | null;
  /** PEM file. */
  readonly keyFile: string | null;
}

/** What is kept of one run's events; null: everything. */
export interface EventStreamSettings {
  readonly maxEvents: number | null;
  readonly maxBytes: number | null;
}

/** Joining consecutive text deltas (spec 01 §7.6). */
export interface CoalescingSettings {
  readonly enabled: boolean;
  readonly flushIntervalMs: number;
  readonly maxChars: number;
}

/** The Agent Stub (spec 05 §1). What follows from both URLs together: stub.ts. */
export interface StubSettings {
  /** `DIFY_AGENT_STUB_URL`, normalised (spec 05 §1.1): `https://host/agent-stub` or `grpc://host:port`. */
  readonly url: string | null;
  /** The same under its later name: its path is `/agent-stub`. Both may be set, e.g. one to each transport. */
  readonly apiBaseUrl: string | null;
  /** `host:port`, IPv6 in brackets (spec 05 §1.2); null: `0.0.0.0` and the port of a `grpc://` url. */
  readonly grpcBindAddress: string | null;
  /** Of the gRPC server. Both null: plaintext; both set: TLS. */
  readonly grpcTls: TlsSettings;
  /** Life of a token, ≥ 1. */
  readonly tokenTtlSeconds: number;
  /** Requests of one token per second on average; 0: no limit. */
  readonly rateLimitPerSecond: number;
}

/** The Dify API's inner endpoints (spec 05 §1) and how its client behaves. Durations in seconds. Which names count: stub.ts. */
export interface DifyApiSettings {
  /** Without trailing `/`. May carry user info: mask it before printing. Set together with `innerApiKey`. */
  readonly baseUrl: string | null;
  /** Secret. */
  readonly innerApiKey: string | null;
  /** The same under their later names. The URL has a default; it counts when there is a key. */
  readonly inner: { readonly url: string /** Secret. */; readonly apiKey: string | null };
  readonly connectTimeoutSeconds: number;
  /** The longest silence. */
  readonly readTimeoutSeconds: number;
  readonly poolTimeoutSeconds: number;
  /** For one file request in all. */
  readonly fileTimeoutSeconds: number;
  readonly maxConnections: number;
}

/** Sessions that the server keeps for its callers (spec 07 §4.4). */
export interface ManagedSessionSettings {
  /** Life since the last use. */
  readonly ttlSeconds: number;
  /** Of a snapshot, as JSON in UTF-8. */
  readonly maxBytes: number;
}

/** Which wire to speak (spec README, Target). */
export type WireVintage = '2026-06' | '2026-08';

/** The effective configuration, validated and frozen (deeply). */
export interface Settings {
  /** Address to listen on, e.g. `127.0.0.1`, `::`. */
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  readonly access: AccessSettings;
  readonly tls: TlsSettings;
  /** Origins of pages that may call from a browser; `*`: any. Empty: no CORS. */
  readonly corsOrigins: readonly string[];
  /** `sqlite:PATH`, `sqlite::memory:`, `redis://…` or `rediss://…`. May carry a password: mask it before printing. */
  readonly storeUrl: string;
  /** The variable that `storeUrl` comes from, for errors. */
  readonly storeUrlVariable: 'DIFY_AGENT_STORE_URL' | 'DIFY_AGENT_REDIS_URL';
  /** Key prefix in Redis. */
  readonly redisPrefix: string;
  /** How long a run and its events are kept, ≥ 1 (spec 01 §6.1). */
  readonly runRetentionSeconds: number;
  /** How long running runs go on while a shared store is away, ≥ 0; then they fail with reason `store_unavailable`. */
  readonly storeOutageSeconds: number;
  /** `synchronous` of SQLite. */
  readonly sqliteSynchronous: 'normal' | 'full';
  /** A shared store: how long an owner may be silent before its runs are ended, ≥ 2. */
  readonly runLeaseSeconds: number;
  readonly eventStream: EventStreamSettings;
  /** For the agent loop of a run (spec 02 §12.4), > 0; null: no limit. */
  readonly runTimeoutSeconds: number | null;
  /** Runs that this process executes at once. */
  readonly maxActiveRuns: number;
  /** What `idempotency_key` does. */
  readonly idempotency: 'on' | 'strict' | 'off';
  readonly textDeltaCoalescing: CoalescingSettings;
  /** How long a stop waits for running runs (spec 01 §7.3); zero or less: not at all. */
  readonly shutdownGraceSeconds: number;
  readonly pluginDaemon: PluginDaemonSettings;
  readonly shellctl: ShellctlSettings;
  readonly stub: StubSettings;
  readonly difyApi: DifyApiSettings;
  /** Secret: unpadded base64url of 32 bytes (spec 05 §2.1). */
  readonly serverSecretKey: string | null;
  /** Secrets: keys that still open tokens. */
  readonly serverSecretKeysPrevious: readonly string[];
  readonly logLevel: LogLevel;
  readonly logFormat: LogFormat;
  readonly wireVintage: WireVintage;
  /** Largest request body that is read, in bytes. */
  readonly maxRequestBytes: number;
  /** Bodies that are being received, all together, in bytes. */
  readonly maxPendingRequestBytes: number;
  /** Registers `test.scripted_llm`; for tests and the demo. */
  readonly enableScriptedModel: boolean;
  /** Whether `/metrics` answers. */
  readonly metricsEnabled: boolean;
  /** Whether `GET /runs` lists runs; null: as the store does by itself (SQLite: yes, Redis: no). */
  readonly runIndexEnabled: boolean | null;
  /** Whether `/console` is served. */
  readonly consoleEnabled: boolean;
  readonly managedSessions: ManagedSessionSettings;
  /** Null: nothing is traced. What the variables amount to: traces.ts. */
  readonly traces: TraceOptions | null;
}
