import { describe, expect, test } from 'bun:test';
import { decodePair, pairInsideEnvelope } from '../../../src/peers/plugin-daemon/errors.ts';

const pair = (error_type: string, message: string) => JSON.stringify({ error_type, message, args: null });

describe('an error text of the daemon', () => {
  test('is typed when it is a JSON object with both texts', () => {
    expect(decodePair(pair('X', 'y'))).toEqual({ errorType: 'X', message: 'y' });
    for (const text of ['', 'boom', '[]', 'null', '5', '{"error_type":"X"}', '{"error_type":1,"message":"y"}']) {
      expect(decodePair(text)).toBeNull();
    }
  });

  test('of a plugin is unwrapped to the innermost pair', () => {
    expect(decodePair(pair('PluginInvokeError', pair('PluginInvokeError', pair('ValueError', 'boom'))))).toEqual({
      errorType: 'ValueError',
      message: 'boom',
    });
  });

  test('of a plugin that cannot be decoded stays what it is', () => {
    expect(decodePair(pair('PluginInvokeError', 'boom'))).toEqual({ errorType: 'PluginInvokeError', message: 'boom' });
  });

  test('nested on and on is unwrapped a bounded number of times', () => {
    let text = pair('ValueError', 'x');
    for (let i = 0; i < 10; i++) text = pair('PluginInvokeError', text);
    expect(decodePair(text)?.errorType).toBe('PluginInvokeError');
  });

  test('inside an envelope is found for HTTP errors', () => {
    expect(pairInsideEnvelope(JSON.stringify({ code: -401, message: pair('A', 'b') }))).toEqual({
      errorType: 'A',
      message: 'b',
    });
    expect(pairInsideEnvelope('{"code":"not_found","message":"route not found"}')).toBeNull();
  });
});
