import { describe, expect, test } from 'bun:test';
import { createRouteTable } from '../../src/server/route-table.ts';
import { parseTarget, runIdOf } from '../../src/server/target.ts';

describe('the route table', () => {
  const table = createRouteTable([
    {
      routes: [
        { method: 'POST', path: '/runs' },
        { method: 'GET', path: '/runs/:run_id' },
        { method: 'GET', path: '/v1.0/x', open: true },
        { method: 'PUT', path: '/both/:id' },
      ],
      to: 1,
    },
    { routes: [{ method: 'DELETE', path: '/both/:id' }], to: 2 },
  ]);

  test('a path of slashes costs no more than its length', () => {
    expect(table.check('GET', `${'/'.repeat(300_000)}a/`)).toEqual({ kind: 'not_found' });
  });

  test('knows paths, methods and their allow header', () => {
    expect(table.check('POST', '/runs')).toEqual({ kind: 'route', pattern: '/runs', open: false, to: 1 });
    expect(table.check('GET', '/runs/%20')).toMatchObject({ kind: 'route', pattern: '/runs/:run_id' });
    expect(table.check('GET', '/runs')).toEqual({ kind: 'method_not_allowed', pattern: '/runs', allow: 'POST' });
    expect(table.check('GET', '/both/1')).toMatchObject({ allow: 'PUT, DELETE' });
    expect(table.check('DELETE', '/both/1')).toMatchObject({ to: 2 });
    expect(table.check('HEAD', '/runs/1')).toMatchObject({ kind: 'method_not_allowed', allow: 'GET' });
    expect(table.check('HEAD', '/v1.0/x')).toMatchObject({ kind: 'route', open: true });
    expect(table.check('GET', '/v1a0/x')).toEqual({ kind: 'not_found' });
    expect(table.check('GET', '/runs/1/2')).toEqual({ kind: 'not_found' });
    expect(table.check('GET', '')).toEqual({ kind: 'not_found' });
  });

  test('a method is open only if it says so itself', () => {
    const routes = [
      { method: 'GET', path: '/a/:id', open: true },
      { method: 'DELETE', path: '/a/:id' },
    ];
    const mixed = createRouteTable([{ routes, to: null }]);
    expect(mixed.check('GET', '/a/1')).toMatchObject({ kind: 'route', open: true });
    expect(mixed.check('DELETE', '/a/1')).toMatchObject({ kind: 'route', open: false });
  });

  test('redirects from trailing slashes only to what exists', () => {
    expect(table.check('GET', '/runs/')).toEqual({ kind: 'redirect', path: '/runs' });
    expect(table.check('DELETE', '/runs/1//')).toEqual({ kind: 'redirect', path: '/runs/1' });
    expect(table.check('GET', '/')).toEqual({ kind: 'not_found' });
    expect(table.check('GET', '//')).toEqual({ kind: 'not_found' });
    expect(table.check('GET', '/nope/')).toEqual({ kind: 'not_found' });
  });
});

describe('targets', () => {
  test.each([
    ['http://x/a/b?c=/d?e', '/a/b', '?c=/d?e'],
    ['http://x/a', '/a', ''],
    ['/a?b', '/a', '?b'],
    ['/a?b://c', '/a', '?b://c'],
    ['http://x/a#b?c', '/a', ''],
    ['http://x/a?b#c', '/a', '?b'],
  ])('%s', (url, path, query) => {
    expect(parseTarget(url)).toEqual({ path, query });
  });

  test('run ids are decoded as Python does', () => {
    expect(runIdOf('/runs/abc')).toBe('abc');
    expect(runIdOf('/runs/abc/events/sse')).toBe('abc');
    expect(runIdOf('/runs/a%20b%C3%A9')).toBe('a bé');
    expect(runIdOf('/runs/%zz%4')).toBe('%zz%4');
    expect(runIdOf('/runs/%ff')).toBe('\ufffd');
    expect(runIdOf(`/runs/${'x'.repeat(513)}`)).toBeNull();
  });
});
