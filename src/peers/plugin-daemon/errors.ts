// What can go wrong between us and the plugin daemon, as typed errors. They say what happened; how a model call or a
// tool call words it is decided in models/ and by the tools. Texts that peers match on are constants here (spec 03 §6.4).

import { CodedError } from '../../base/errors.ts';

/** Where an exchange failed. */
export type TransportFault =
  | 'pool_timeout'
  | 'connect_timeout'
  | 'read_timeout'
  /** Ours: the call took longer than it may in all. */
  | 'request_timeout'
  | 'connect_failed'
  | 'name_resolution'
  | 'tls'
  | 'disconnected'
  | 'cut_off'
  | 'bad_response';

const TRANSPORT_TEXTS: Readonly<Record<TransportFault, string>> = {
  pool_timeout: 'PoolTimeout',
  connect_timeout: 'ConnectTimeout',
  read_timeout: 'ReadTimeout',
  request_timeout: 'The plugin daemon took longer to answer than a call may take',
  connect_failed: 'All connection attempts failed',
  name_resolution: '[Errno -2] Name or service not known',
  tls: 'TLS handshake with the plugin daemon failed',
  disconnected: 'Server disconnected without sending a response.',
  cut_off: 'peer closed connection without sending complete message body (incomplete chunked read)',
  bad_response: 'Server sent an invalid HTTP response',
};

/** The network failed: nothing the daemon said. Its message is the reference's text. */
export class DaemonTransportError extends CodedError {
  readonly fault: TransportFault;

  constructor(fault: TransportFault, options?: ErrorOptions) {
    super(`daemon_${fault}`, TRANSPORT_TEXTS[fault], options);
    this.fault = fault;
  }
}

/** A call that was ended because its time was over (`requestTimeoutSeconds`). */
export class DaemonRequestTimeoutError extends DaemonTransportError {
  constructor(seconds: number) {
    super('request_timeout');
    this.message = `${this.message}: ${seconds} seconds`;
  }
}

/** Why a request was not sent, or an answer could not be read. */
export type ProtocolFault =
  /** A value of ours may not travel in a path or header, or is no JSON. */
  | 'bad_request'
  /** A line that is no JSON envelope; the message is the reference's validation text. */
  | 'bad_item'
  /** Success without data (spec 03 §2.4). */
  | 'empty_item'
  | 'line_too_long'
  | 'stream_too_large';

/** The daemon's answer (or our request) does not follow the protocol. */
export class DaemonProtocolError extends CodedError {
  readonly fault: ProtocolFault;

  constructor(fault: ProtocolFault, message: string) {
    super(`daemon_${fault}`, message);
    this.fault = fault;
  }
}

/** The daemon's typed error: its Python or Go class name and its text. */
export interface ErrorPair {
  readonly errorType: string;
  readonly message: string;
}

/** What the daemon refused with. */
export interface RejectionFacts {
  /** HTTP status ≥ 400, or null for an error item inside a stream. */
  readonly httpStatus: number | null;
  /** The envelope's code, or null for an HTTP error. */
  readonly envelopeCode: number | null;
  /** The envelope's message or the whole body, as it came (bodies capped). */
  readonly text: string;
  /** The decoded and unwrapped pair, or null when the text is untyped (spec 03 §6.2). */
  readonly pair: ErrorPair | null;
}

/** The daemon answered with an error. */
export class DaemonRejection extends CodedError {
  readonly facts: RejectionFacts;

  constructor(facts: RejectionFacts) {
    super('daemon_rejection', facts.pair?.message ?? facts.text);
    this.facts = facts;
  }
}

/** An error item of a stream. */
export function itemRejection(envelopeCode: number, message: string): DaemonRejection {
  return new DaemonRejection({ httpStatus: null, envelopeCode, text: message, pair: decodePair(message) });
}

/** An HTTP answer ≥ 400. */
export function httpRejection(httpStatus: number, body: string): DaemonRejection {
  return new DaemonRejection({ httpStatus, envelopeCode: null, text: body, pair: decodePair(body) });
}

/** The pair inside the envelope that the real daemon sends as an HTTP error body, or null (spec 03 §10.5). */
export function pairInsideEnvelope(body: string): ErrorPair | null {
  const envelope = parseObject(body);
  return typeof envelope?.message === 'string' ? decodePair(envelope.message) : null;
}

/** How deep `PluginInvokeError` may nest; the real daemon nests once. */
const MAX_UNWRAP = 8;

/**
 * `{"error_type", "message"}` of a text, unwrapping `PluginInvokeError` as long as its message is such a text again.
 * Null: untyped (spec 03 §6.2).
 */
export function decodePair(text: string): ErrorPair | null {
  let pair = readPair(text);
  for (let depth = 0; pair?.errorType === 'PluginInvokeError' && depth < MAX_UNWRAP; depth++) {
    const inner = readPair(pair.message);
    if (inner === null) break;
    pair = inner;
  }
  return pair;
}

function readPair(text: string): ErrorPair | null {
  const object = parseObject(text);
  if (typeof object?.error_type !== 'string' || typeof object.message !== 'string') return null;
  return { errorType: object.error_type, message: object.message };
}

function parseObject(text: string): Readonly<Record<string, unknown>> | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>) // checked in the line above
      : null;
  } catch {
    return null;
  }
}
