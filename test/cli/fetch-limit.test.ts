import { expect, test } from 'bun:test';
import { environmentForFetches } from '../../src/cli/fetch-limit.ts';
import { loadSettings } from '../../src/config/load.ts';

function settings(maxConnections: number) {
  const loaded = loadSettings({ DIFY_AGENT_PLUGIN_DAEMON_MAX_CONNECTIONS: String(maxConnections) }, null);
  if (!loaded.ok) throw new Error(loaded.problems.join());
  return loaded.settings;
}

test('the default number of connections needs no other environment', () => {
  expect(environmentForFetches(settings(100), {})).toBeNull();
  expect(environmentForFetches(settings(192), {})).toBeNull();
});

test('more connections than Bun fetches at once ask for more fetches, once', () => {
  const env = { PATH: '/bin' };
  const better = environmentForFetches(settings(400), env);
  expect(better).toEqual({ PATH: '/bin', BUN_CONFIG_MAX_HTTP_REQUESTS: '464' });
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
