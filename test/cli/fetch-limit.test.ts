import { expect, test } from 'bun:test';
import { environmentForFetches } from '../../src/cli/fetch-limit.ts';
import { loadSettings } from '../../src/config/load.ts';

function settings(maxConnections: number, more: Readonly<Record<string, string>> = {}) {
  const env = { DIFY_AGENT_PLUGIN_DAEMON_MAX_CONNECTIONS: String(maxConnections), ...more };
  const loaded = loadSettings(env, null);
  if (!loaded.ok) throw new Error(loaded.problems.join());
  return loaded.settings;
}

const SHELLCTL = { DIFY_AGENT_SHELLCTL_ENTRYPOINT: 'http://shell:5004' };
const DIFY_API = { DIFY_AGENT_DIFY_API_BASE_URL: 'http://api:5001', DIFY_AGENT_DIFY_API_INNER_API_KEY: 'key' };

test('the default numbers of connections need no other environment, whichever peers there are', () => {
  expect(environmentForFetches(settings(100), {})).toBeNull();
  expect(environmentForFetches(settings(100, SHELLCTL), {})).toBeNull();
  expect(environmentForFetches(settings(100, { ...SHELLCTL, ...DIFY_API }), {})).toBeNull();
});

test('every configured peer has its share beside the reserve', () => {
  expect(environmentForFetches(settings(224), {})).toBeNull();
  expect(environmentForFetches(settings(225), {})).toEqual({ BUN_CONFIG_MAX_HTTP_REQUESTS: '257' });
  expect(environmentForFetches(settings(224, SHELLCTL), {})).toEqual({ BUN_CONFIG_MAX_HTTP_REQUESTS: '320' });
  const all = settings(224, { ...SHELLCTL, ...DIFY_API, DIFY_AGENT_SHELLCTL_MAX_CONNECTIONS: '200' });
  expect(environmentForFetches(all, {})).toEqual({ BUN_CONFIG_MAX_HTTP_REQUESTS: '488' });
});

test('a number of connections to a peer that is not configured is no share', () => {
  expect(environmentForFetches(settings(100, { DIFY_AGENT_SHELLCTL_MAX_CONNECTIONS: '5000' }), {})).toBeNull();
});

test('more connections than Bun fetches at once ask for more fetches, once', () => {
  const env = { PATH: '/bin' };
  const better = environmentForFetches(settings(400), env);
  expect(better).toEqual({ PATH: '/bin', BUN_CONFIG_MAX_HTTP_REQUESTS: '432' });
  expect(environmentForFetches(settings(400), better ?? {})).toBeNull();
});

test('a larger number of the operator stays', () => {
  expect(environmentForFetches(settings(400), { BUN_CONFIG_MAX_HTTP_REQUESTS: '1000' })).toBeNull();
  expect(environmentForFetches(settings(400), { BUN_CONFIG_MAX_HTTP_REQUESTS: 'x' })).not.toBeNull();
});

test('the number is never one that Bun would ignore', () => {
  const better = environmentForFetches(settings(65_535), {});
  expect(better).toEqual({ BUN_CONFIG_MAX_HTTP_REQUESTS: '65535' });
  expect(environmentForFetches(settings(65_535), better ?? {})).toBeNull();
  expect(environmentForFetches(settings(400), { BUN_CONFIG_MAX_HTTP_REQUESTS: '100000' })).not.toBeNull();
});
