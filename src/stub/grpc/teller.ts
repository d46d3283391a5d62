// Tells of every call of the service to whoever counts and traces requests: as POST of its path, which is what it is in HTTP/2,
// with the HTTP status that stands for its gRPC status. Calls of unknown methods never come here: the library refuses them.

import { ServerInterceptingCall, type ServerInterceptor, ServerListenerBuilder, status } from '@grpc/grpc-js';
import type { Probe, RequestEnd, Scope } from '../../observe/probe.ts';

/** Nobody heard the answer (nginx's number), or the library gave it in our place: a deadline, a message over the limit. */
const CLIENT_CLOSED = 499;

/** As google.rpc.Code has them. What is missing is an error of the server. */
const HTTP_STATUS: ReadonlyMap<status, number> = new Map([
  [status.OK, 200],
  [status.CANCELLED, CLIENT_CLOSED],
  [status.INVALID_ARGUMENT, 400],
  [status.FAILED_PRECONDITION, 400],
  [status.UNAUTHENTICATED, 401],
  [status.PERMISSION_DENIED, 403],
  [status.NOT_FOUND, 404],
  [status.RESOURCE_EXHAUSTED, 429],
  [status.UNIMPLEMENTED, 501],
  [status.UNAVAILABLE, 503],
  [status.DEADLINE_EXCEEDED, 504],
]);

/** An interceptor that tells. It must be the first one, so that it hears of what the others refuse. */
export function createTeller(probe: Pick<Probe, 'request'>): ServerInterceptor {
  return ({ path }, call) => {
    let scope: Scope<RequestEnd> | null = null;
    const listener = new ServerListenerBuilder()
      .withOnReceiveMetadata((metadata, next) => {
        const text = (key: string): string | null => {
          const [value] = metadata.get(key);
          return typeof value === 'string' ? value : null;
        };
        const context = { traceparent: text('traceparent'), tracestate: text('tracestate') };
        scope = probe.request({ method: 'POST', route: path, ...context, requestId: crypto.randomUUID() });
        // What asks the Dify API belongs to the call, whether the message comes before or after the token was checked.
        scope.within(() => next(metadata));
      })
      .withOnReceiveHalfClose((next) => (scope === null ? next() : scope.within(next)))
      // Said at the end of every call: after its status it changes nothing.
      .withOnCancel(() => scope?.end({ status: CLIENT_CLOSED }))
      .build();
    return new ServerInterceptingCall(call, {
      start: (next) => next(listener),
      sendStatus(sent, next) {
        scope?.end({ status: HTTP_STATUS.get(sent.code ?? status.UNKNOWN) ?? 500 });
        next(sent);
      },
    });
  };
}
