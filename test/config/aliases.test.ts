// Two names of one variable that say different things: the first name wins, and that is told.

import { expect, test } from 'bun:test';
import { type LoadResult, loadSettings } from '../../src/config/load.ts';

const NAME = 'DIFY_AGENT_DIFY_API_READ_TIMEOUT';
const ALIAS = 'DIFY_AGENT_OUTBOUND_HTTP_READ_TIMEOUT';

function load(env: Readonly<Record<string, string>>): LoadResult & { readonly ok: true } {
  const loaded = loadSettings(env, null);
  if (!loaded.ok) throw new Error(loaded.problems.join('\n'));
  return loaded;
}

test('the name wins over its alias, in one line that has no values', () => {
  const { settings, warnings } = load({ [NAME]: '7', [ALIAS]: '12345' });
  expect(settings.difyApi.readTimeoutSeconds).toBe(7);
  expect(warnings).toEqual([`${ALIAS} (environment) is ignored: ${NAME} (environment) is set to another value`]);
});

test('an alias that nothing would read is told, too', () => {
  expect(load({ [NAME]: '7', [ALIAS]: 'soon' }).warnings).toHaveLength(1);
});

test('one of them, or the same value in another spelling, is no reason for a line', () => {
  expect(load({ [ALIAS]: '7' }).settings.difyApi.readTimeoutSeconds).toBe(7);
  for (const env of [{}, { [ALIAS]: '7' }, { [NAME]: '7' }, { [NAME]: '7', [ALIAS]: ' 7.0' }]) {
    expect(load(env).warnings).toEqual([]);
  }
});

test('a token that a blank name switches off is told', () => {
  const { settings, warnings } = load({ DIFY_AGENT_API_TOKEN: ' ', DIFY_AGENT_RUN_API_TOKEN: 'hunter2' });
  expect(settings.access.apiToken).toBeNull();
  expect(warnings).toEqual([
    'DIFY_AGENT_RUN_API_TOKEN (environment) is ignored: DIFY_AGENT_API_TOKEN (environment) is set to another value',
  ]);
});
