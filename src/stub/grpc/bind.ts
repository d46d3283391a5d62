// Where the gRPC service listens (spec 05 §1.2). What sandboxes are told is always the public URL.

import { CodedError } from '../../base/errors.ts';

/** The address to bind: the override, else every address and the port of the public `grpc://host:port`. */
export function bindAddress(publicUrl: string, override: string | null): string {
  if (override !== null) return override;
  const port = /^grpc:\/\/.*:(\d+)$/.exec(publicUrl)?.[1];
  if (port === undefined) {
    throw new CodedError('grpc_bind', 'Agent Stub gRPC bind target requires a grpc://host:port public URL');
  }
  return `0.0.0.0:${port}`;
}
