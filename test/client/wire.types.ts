// The client's types against the server's schemas, checked by `npm run types`: what the server sends is what a client reads,
// what a client may send the server takes. Never run.

import type { JsonValue as ServerJson } from '../../src/base/json.ts';
import type { JsonValue, StreamEventData } from '../../src/client/index.ts';
import type * as client from '../../src/client/types.ts';
import type { AgentStreamEvent } from '../../src/protocol/events.ts';
import type * as server from '../../src/protocol/runs.ts';

/** The server's types with what it leaves open, and its JSON, as plain JSON. */
type Plain<T> = unknown extends T
  ? JsonValue
  : ServerJson extends T
    ? JsonValue
    : T extends object
      ? { readonly [K in keyof T]: Plain<T[K]> }
      : T;

/** Does not compile unless `From` fits `To`. */
type Fits<From extends To, To> = From;

export type Read = [
  Fits<Plain<AgentStreamEvent>, StreamEventData>,
  Fits<server.RunRecord, client.RunStatusResponse>,
  Fits<server.RunStatus, client.RunStatus>,
  Fits<client.RunStatus, server.RunStatus>,
  Fits<Plain<server.LayerSessionSnapshot>, client.SessionSnapshot['layers'][number]>,
  Fits<server.LifecycleState, client.LifecycleState>,
];

/** All that a client may send, with what it may leave out. */
type Sent<T> = { readonly [K in keyof T]?: T[K] };
export type Taken = [
  Fits<keyof client.CreateRunRequest, keyof server.CreateRunRequest>,
  Fits<keyof server.CreateRunRequest, keyof client.CreateRunRequest>,
  Fits<NonNullable<client.CreateRunRequest['purpose']>, server.CreateRunRequest['purpose']>,
  Fits<keyof client.LayerSpec, keyof server.RunLayerSpec>,
  Fits<client.ExitIntent, server.ExitIntent>,
  Fits<client.CancelRunRequest, Sent<server.CancelRunRequest>>,
  Fits<keyof client.DeferredToolResults, keyof server.DeferredToolResults>,
];
