// What is not counted but looked at when somebody asks: the state of streams, connections, the lease, the process. The rooms
// that have it give functions; app.ts hands them over.

import type { Peer } from '../probe.ts';

/** The SSE streams of this server. */
export interface StreamFigures {
  readonly open: number;
  /** Since the start. */
  readonly opened: number;
  readonly eventsSent: number;
  /** Of frames with events. */
  readonly bytesSent: number;
  /** Open streams that have not delivered everything that is stored. */
  readonly behind: number;
  /** Events that the slowest of them is behind; 256 stands for more. */
  readonly maxBehind: number;
  /** Open streams whose client takes nothing for some seconds. */
  readonly stuck: number;
}

/** The connections to one peer. */
export interface SlotFigures {
  readonly peer: Peer;
  readonly active: number;
  readonly waiting: number;
  readonly limit: number;
}

/** The lease of this process in a shared store. */
export interface LeaseSource {
  readonly held: boolean;
  readonly renewed: number;
  readonly failed: number;
  /** How often it turned out to have run out. */
  readonly lost: number;
}

/** What this server is. */
export interface Identity {
  readonly version: string;
  /** `sqlite` or `redis`. */
  readonly store: string;
  /** Without credentials, e.g. `sqlite:/var/lib/x.db`. */
  readonly storeDescription: string;
  readonly wire: string;
  /** Type ids that compositions may use here, e.g. `dify.plugin.llm`. */
  readonly layerTypes: readonly string[];
  /** `performance.now()` of the start, and the time then in ms since 1970. */
  readonly startedAt: number;
  readonly startedAtMs: number;
}

/** Everything that is looked at. */
export interface Sources {
  readonly identity: Identity;
  readonly maxActiveRuns: number;
  readonly streams: () => StreamFigures;
  readonly slots: () => readonly SlotFigures[];
  readonly lease: LeaseSource | null;
  readonly stopping: () => boolean;
}
