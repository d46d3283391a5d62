// Values of a composition that travel in the request line and in headers. The daemon's routes trust the master key, so
// nothing may change the route or add a header (spec 03 §10.7). Complaints name the field and never show the value.

import { DaemonProtocolError } from './errors.ts';

const CONTROL = /[\u0000-\u001f\u007f-\u009f]/;
const HEADER_VALUE = /^[\u0021-\u007e](?:[\u0020-\u007e]*[\u0021-\u007e])?$/;

/** `tenant_id` as a path segment. Throws when it is empty, a dot segment, or holds a slash, backslash or control character. */
export function tenantSegment(tenantId: string): string {
  if (tenantId === '') throw refuse('tenant_id must not be empty');
  if (CONTROL.test(tenantId)) throw refuse('tenant_id must not contain control characters');
  if (/[/\\]/.test(tenantId)) throw refuse("tenant_id must not contain '/' or '\\'");
  if (tenantId === '.' || tenantId === '..') throw refuse('tenant_id must not be a dot segment');
  if (!tenantId.isWellFormed()) throw refuse('tenant_id is not valid Unicode');
  return encodeURIComponent(tenantId);
}

/** A header value that is exactly what was given: printable ASCII, no blanks around it. `field` names it in the error. */
export function headerValue(field: string, value: string): string {
  if (value === '') throw refuse(`${field} must not be empty`);
  if (!HEADER_VALUE.test(value)) throw refuse(`${field} must be printable ASCII without blanks around it`);
  return value;
}

/** `plugin_id` for `X-Plugin-ID`: a header value without dot segments and backslashes. */
export function pluginIdHeader(pluginId: string): string {
  const value = headerValue('plugin_id', pluginId);
  if (value.includes('\\') || value.split('/').some((segment) => segment === '.' || segment === '..')) {
    throw refuse('plugin_id must not contain dot segments or backslashes');
  }
  return value;
}

function refuse(message: string): DaemonProtocolError {
  return new DaemonProtocolError('bad_request', message);
}
