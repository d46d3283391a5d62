// The documentation is what the declarations say.

import { expect, test } from 'bun:test';
import { configurationDocument, configurationHelp } from '../../src/config/describe.ts';
import type { Variable } from '../../src/config/variable.ts';
import { listVariables } from '../../src/config/variables.ts';

test('docs/configuration.md is up to date (else: npm run docs)', async () => {
  expect(await Bun.file(new URL('../../docs/configuration.md', import.meta.url)).text()).toBe(configurationDocument());
});

test('every variable is declared once, has the prefix and reads its own default', () => {
  const names = listVariables().map(({ name }) => name);
  expect(new Set(names).size).toBe(names.length);
  for (const variable of listVariables()) {
    expect(variable.name).toMatch(/^(?:DIFY_AGENT|OTEL)_/);
    if (isUnsetNumberOrSwitch(variable)) continue;
    const text = variable.default === null ? '' : String(variable.default);
    expect([variable.name, variable.parse(text)]).toEqual([variable.name, { ok: true, value: variable.default }]);
  }
});

test('a number or a switch that may be unset is unset by its absence: an empty text is an error, as everywhere', () => {
  const optional = listVariables().filter(isUnsetNumberOrSwitch);
  expect(optional.map(({ name }) => name)).toContain('DIFY_AGENT_RUN_TIMEOUT_SECONDS');
  for (const variable of optional)
    expect([variable.name, variable.parse('')]).toMatchObject([variable.name, { ok: false }]);
});

function isUnsetNumberOrSwitch({ default: fallback, allowed }: Variable<unknown>): boolean {
  return fallback === null && /^(?:whole )?number|^`true` or `false`$/.test(allowed);
}

test('help names every variable', () => {
  for (const { name } of listVariables()) expect(configurationHelp()).toContain(name);
});
