// Who comes in, before anything of a message is taken: the token is looked at while the stream is still paused, so that an
// unknown caller costs its headers and no more (spec 05 §12.1); and who has come in says what it wants, soon.

import {
  type Metadata,
  ServerInterceptingCall,
  type ServerInterceptingCallInterface,
  type ServerInterceptor,
  ServerListenerBuilder,
  status,
} from '@grpc/grpc-js';
import type { StubCaller } from '../caller.ts';
import type { GrpcRefusal } from './status.ts';

/** A request must be here after this long, ms: streams that say nothing more are not held for ever. */
const MESSAGE_MS = 30_000;

/** What the doorman needs. */
export interface DoormanDeps {
  /** The caller by its `authorization`. */
  readonly authenticate: (authorization: string | null) => Promise<StubCaller>;
  /** What a call ends with whose `authenticate` rejected. */
  readonly refusal: (error: unknown) => GrpcRefusal;
  /** Default MESSAGE_MS. */
  readonly messageMs?: number;
}

/** An interceptor, and whom it let in. */
export interface Doorman {
  readonly interceptor: ServerInterceptor;
  /** The caller of a call that reached its method. */
  callerOf(metadata: Metadata): StubCaller;
}

export function createDoorman({ authenticate, refusal, messageMs = MESSAGE_MS }: DoormanDeps): Doorman {
  const callers = new WeakMap<Metadata, StubCaller>();

  const interceptor: ServerInterceptor = (_method, call) => {
    const end = endOnce(call);
    let hasMessage = false;
    const timer = setTimeout(
      () => end({ code: status.DEADLINE_EXCEEDED, details: 'Agent Stub request message timed out' }),
      messageMs,
    );
    const listener = new ServerListenerBuilder()
      .withOnReceiveMetadata((metadata, letIn) => {
        const [authorization] = metadata.get('authorization');
        authenticate(typeof authorization === 'string' ? authorization : null).then(
          (caller) => {
            callers.set(metadata, caller);
            letIn(metadata);
          },
          (error: unknown) => {
            clearTimeout(timer);
            end(refusal(error));
          },
        );
      })
      .withOnReceiveMessage((message: unknown, next) => {
        hasMessage = true;
        next(message);
      })
      .withOnReceiveHalfClose((next) => {
        clearTimeout(timer);
        if (hasMessage) next();
        else end({ code: status.INVALID_ARGUMENT, details: 'missing Agent Stub request message' });
      })
      .withOnCancel(() => clearTimeout(timer))
      .build();
    return new ServerInterceptingCall(call, {
      start: (next) => next(listener),
      sendStatus(sent, next) {
        clearTimeout(timer);
        next(sent);
      },
    });
  };

  return {
    interceptor,
    callerOf(metadata) {
      const caller = callers.get(metadata);
      if (caller === undefined) throw new Error('a call reached its method without passing the doorman');
      return caller;
    },
  };
}

/** Ends a call, if it was not ended here before. */
function endOnce(call: ServerInterceptingCallInterface): (refusal: GrpcRefusal) => void {
  let ended = false;
  return (refusal) => {
    if (!ended) call.sendStatus({ ...refusal, metadata: null });
    ended = true;
  };
}
