import { describe, expect, test } from 'bun:test';
import type { CodedError } from '../../../src/base/errors.ts';
import { ToolArgumentError } from '../../../src/layers/plugin-tools/cast.ts';
import { failureText } from '../../../src/layers/plugin-tools/failure.ts';
import {
  DaemonProtocolError,
  DaemonTransportError,
  httpRejection,
  itemRejection,
} from '../../../src/peers/plugin-daemon/errors.ts';
import { ToolStreamError } from '../../../src/peers/plugin-daemon/tool-errors.ts';

const pair = (error_type: string, message: string) => JSON.stringify({ error_type, message, args: null });
const nested = (type: string, message: string) => pair('PluginInvokeError', pair(type, message));
const invalid = (text: string) => `tool parameters validation error: ${text}, please check your tool parameters`;
const CREDENTIALS = 'Please check your tool provider credentials';

describe('an error item', () => {
  test.each([
    [nested('ToolProviderCredentialValidationError', 'm'), CREDENTIALS],
    [nested('CredentialsValidateFailedError', 'm'), CREDENTIALS],
    [nested('InvokeAuthorizationError', 'm'), CREDENTIALS],
    [pair('PluginDaemonUnauthorizedError', 'm'), CREDENTIALS],
    [nested('ToolNotFoundError', 'm'), 'there is not a tool named visible'],
    [nested('ToolProviderNotFoundError', 'm'), 'there is not a tool named visible'],
    [nested('ToolParameterValidationError', 'm'), invalid('m')],
    [nested('InvokeBadRequestError', 'm'), invalid('m')],
    [nested('SchemaValidateError', 'm'), invalid('m')],
    [nested('ValueError', 'boom'), 'tool invoke error: boom'],
    [nested('ValueError', ''), 'tool invoke error: '],
    [pair('PluginInvokeError', 'no json'), 'tool invoke error: no json'],
    [pair('PluginDaemonInternalServerError', 'killed by timeout'), 'tool invoke error: killed by timeout'],
    ['plain', 'tool invoke error: plain'],
    ['', 'tool invoke error: Plugin daemon returned an error stream item.'],
  ])('%s', (message, wanted) => {
    expect(failureText(itemRejection(-500, message), 'visible')).toBe(wanted);
  });
});

describe('an HTTP error', () => {
  const envelope = (code: number, type: string, message: string) =>
    JSON.stringify({ code, message: pair(type, message), data: null });
  test.each([
    [401, pair('PluginDaemonUnauthorizedError', 'unauthorized'), CREDENTIALS],
    [401, envelope(-401, 'PluginDaemonUnauthorizedError', 'unauthorized'), CREDENTIALS],
    [400, envelope(-400, 'PluginDaemonError', 'plugin_id is required'), invalid('plugin_id is required')],
    [400, 'whatever', invalid('whatever')],
    [400, '', invalid('Plugin daemon stream request failed.')],
    [404, envelope(-404, 'PluginNotFoundError', 'plugin not found'), 'tool invoke error: plugin not found'],
    [
      404,
      '{"code":"not_found","message":"route not found"}',
      'tool invoke error: {"code":"not_found","message":"route not found"}',
    ],
    [500, '', 'tool invoke error: Plugin daemon stream request failed.'],
  ])('%i %s', (status, body, wanted) => {
    expect(failureText(httpRejection(status, body), 'visible')).toBe(wanted);
  });
});

describe('other failures', () => {
  const failures: readonly (readonly [CodedError, string])[] = [
    [
      new ToolArgumentError('tool parameter city not found in tool config'),
      invalid('tool parameter city not found in tool config'),
    ],
    [new ToolStreamError('invalid', 'File is too large'), invalid('File is too large')],
    [new ToolStreamError('limit', 'too many'), 'tool invoke error: too many'],
    [new DaemonProtocolError('bad_item', '1 validation error'), invalid('1 validation error')],
    [
      new DaemonProtocolError('empty_item', 'Plugin daemon returned an empty stream item'),
      'tool invoke error: Plugin daemon returned an empty stream item.',
    ],
    [new DaemonProtocolError('line_too_long', 'long'), 'tool invoke error: long'],
    [new DaemonProtocolError('stream_too_large', 'large'), 'tool invoke error: large'],
    [
      new DaemonProtocolError('bad_request', 'tenant_id must not be empty'),
      'tool invoke error: tenant_id must not be empty',
    ],
    [new DaemonTransportError('read_timeout'), 'tool invoke error: ReadTimeout'],
    [new DaemonTransportError('connect_failed'), 'tool invoke error: All connection attempts failed'],
  ];
  test.each(failures.map(([error, wanted]) => [error.code, error, wanted] as const))('%s', (_, error, wanted) => {
    expect(failureText(error, 'visible')).toBe(wanted);
  });

  test('a fault of ours is none of the tool', () => {
    expect(failureText(new TypeError('x'), 'visible')).toBeNull();
    expect(failureText(new DOMException('gone', 'AbortError'), 'visible')).toBeNull();
  });
});
