// The documentation is what the declarations say.

import { expect, test } from 'bun:test';
import { configurationDocument, configurationHelp } from '../../src/config/describe.ts';
import { PREFIX } from '../../src/config/variable.ts';
import { listVariables } from '../../src/config/variables.ts';

test('docs/configuration.md is up to date (else: npm run docs)', async () => {
  expect(await Bun.file(new URL('../../docs/configuration.md', import.meta.url)).text()).toBe(configurationDocument());
});

test('every variable is declared once, has the prefix and reads its own default', () => {
  const names = listVariables().map(({ name }) => name);
  expect(new Set(names).size).toBe(names.length);
  for (const variable of listVariables()) {
    expect(variable.name).toStartWith(PREFIX);
    const text = variable.default === null ? '' : String(variable.default);
    expect(variable.parse(text)).toEqual({ ok: true, value: variable.default });
  }
});

test('help names every variable', () => {
  for (const { name } of listVariables()) expect(configurationHelp()).toContain(name);
});
