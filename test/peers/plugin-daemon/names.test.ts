import { describe, expect, test } from 'bun:test';
import { headerValue, pluginIdHeader, tenantSegment } from '../../../src/peers/plugin-daemon/names.ts';

describe('a tenant id', () => {
  test('is percent-encoded', () => {
    expect(tenantSegment('tenant-1')).toBe('tenant-1');
    expect(tenantSegment('a b?c#d%2e é')).toBe('a%20b%3Fc%23d%252e%20%C3%A9');
    expect(tenantSegment('..a')).toBe('..a');
  });

  test.each(['', '.', '..', 'a/b', '../x', 'a\\b', 'a\nb', 'a\u0000', 'a\u007f', '\ud800'])(
    'that could change the route is refused: %j',
    (value) => {
      expect(() => tenantSegment(value)).toThrow(/^tenant_id /);
    },
  );
});

describe('a plugin id', () => {
  test('travels as it is', () => {
    expect(pluginIdHeader('langgenius/openai')).toBe('langgenius/openai');
  });

  test.each(['', ' a', 'a ', 'a\r\nX: y', 'a\u0000b', 'é/x', '../x', 'a/..', 'a/./b', 'a\\b'])(
    'that is no safe header value is refused: %j',
    (value) => {
      expect(() => pluginIdHeader(value)).toThrow(/^plugin_id /);
    },
  );
});

test('a refused value never stands in its error', () => {
  expect(() => headerValue('plugin daemon API key', 'secret\nkey')).toThrow(
    /^plugin daemon API key must be printable ASCII without blanks around it$/,
  );
});
