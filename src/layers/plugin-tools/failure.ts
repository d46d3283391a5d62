// What the model is told when a tool call fails (spec 03 §5.6). The run goes on: also when the network failed, which ends
// the run at the reference (§10.10).

import {
  DaemonProtocolError,
  DaemonRejection,
  DaemonTransportError,
  pairInsideEnvelope,
  type RejectionFacts,
} from '../../peers/plugin-daemon/errors.ts';
import { ToolStreamError } from '../../peers/plugin-daemon/tool-errors.ts';
import { ToolArgumentError } from './cast.ts';

/** The observation for an error of a call of the tool that the model calls `name`, or null: not a failure of the tool. */
export function failureText(error: unknown, name: string): string | null {
  if (error instanceof ToolArgumentError) return validationText(error.message);
  if (error instanceof DaemonRejection) return rejectionText(error.facts, name);
  if (error instanceof ToolStreamError) {
    return error.fault === 'invalid' ? validationText(error.message) : invokeText(error.message);
  }
  if (error instanceof DaemonProtocolError) return protocolText(error);
  return error instanceof DaemonTransportError ? invokeText(error.message) : null;
}

function validationText(text: string): string {
  return `tool parameters validation error: ${text}, please check your tool parameters`;
}

function invokeText(text: string): string {
  return `tool invoke error: ${text}`;
}

function protocolText({ fault, message }: DaemonProtocolError): string {
  if (fault === 'bad_item') return validationText(message);
  // The tool's text ends in a full stop, the model's does not (spec 03 §2.4).
  return invokeText(fault === 'empty_item' ? `${message}.` : message);
}

const CREDENTIALS = ['Credential', 'Authorization', 'Unauthorized'];
const NOT_FOUND = ['ToolNotFound', 'ProviderNotFound'];
const BAD_REQUEST = ['BadRequest', 'Validate', 'Validation'];

function rejectionText({ httpStatus, text, pair: found }: RejectionFacts, name: string): string {
  // The real daemon puts the pair of an HTTP error into an envelope, which the reference does not open (§10.5).
  const pair = found ?? (httpStatus === null ? null : pairInsideEnvelope(text));
  const says = (words: readonly string[]) => words.some((word) => pair?.errorType.includes(word) === true);
  if (says(CREDENTIALS)) return 'Please check your tool provider credentials';
  if (says(NOT_FOUND)) return `there is not a tool named ${name}`;
  const message = pair?.message ?? (text === '' ? emptyText(httpStatus) : text);
  return httpStatus === 400 || says(BAD_REQUEST) ? validationText(message) : invokeText(message);
}

function emptyText(httpStatus: number | null): string {
  return httpStatus === null ? 'Plugin daemon returned an error stream item.' : 'Plugin daemon stream request failed.';
}
