// A run that ended with a question is answered in the console: by the form, with the composition that the page knows or that
// is pasted.

import { expect, test } from 'bun:test';
import { firstRequest, secondRequest } from '../../src/cli/demo-requests.ts';
import { createRun, finish } from '../support/runs.ts';
import { axeFaults, consoleWorld, expectQuiet, runFromPage } from './console-kit.ts';

const world = consoleWorld();

test('a question of a run that was started elsewhere is answered with a pasted composition', async () => {
  const runId = await createRun(world.url, firstRequest());
  await finish(world.url, runId);
  const watched = await world.open(`#/runs/${runId}`);
  const { page } = watched;
  await page.getByRole('heading', { name: 'Tea is running low' }).waitFor();
  expect(await axeFaults(page)).toEqual([]);
  expect(await page.getByRole('button', { name: 'Order' }).isDisabled()).toBe(true);
  await page.getByLabel('Packs').fill('10');
  // The scripted model says the first turn of its script: the one of the second run.
  await page.getByLabel('Composition').fill(JSON.stringify({ composition: secondRequest(null).composition }));
  await page.getByRole('button', { name: 'Order' }).click();
  await page.getByText('"ordered": true').waitFor();
  const next = new URL(page.url()).hash.replace('#/runs/', '');
  expect(next).not.toBe(runId);
  expect((await finish(world.url, next)).terminal).toMatchObject({ output: { ordered: true, packs: 10 } });
  // What was filled in is in the history of the run that went on.
  await page.getByRole('tab', { name: 'History' }).click();
  const told = page.locator('.said-tool', { hasText: 'ask_human' });
  await told.getByText('"packs": "10"').waitFor();
  await told.getByText('"label": "Order"').waitFor();
  expectQuiet(watched);
}, 60_000);

test('a run of this page is resumed without pasting, and what must be filled in is asked for', async () => {
  const request = firstRequest();
  const layers = (request.composition as { layers: { name: string; config?: unknown }[] }).layers; // as demo-requests.ts makes them
  const ask = {
    question: 'How many?',
    fields: [
      { type: 'paragraph', name: 'packs', label: 'Packs', required: true },
      { type: 'select', name: 'kind', label: 'Kind', options: [{ value: 'green', label: 'Green tea' }] },
    ],
  };
  const llm = layers.find(({ name }) => name === 'llm');
  if (llm === undefined) throw new Error('the demo has no model');
  llm.config = { turns: [{ items: [{ tool_call: { id: 'q1', name: 'ask_human', arguments: ask } }] }] };
  const watched = await world.open();
  const { page } = watched;
  await runFromPage(page, request);
  await page.getByText('How many?').first().waitFor();
  const first = page.url();
  await page.getByRole('button', { name: 'Submit' }).click();
  await page.getByText('Still to be filled in: Packs').waitFor();
  await page.getByLabel('Packs').fill('3');
  await page.getByLabel('Kind').selectOption('Green tea');
  await page.getByRole('button', { name: 'Submit' }).click();
  // The script asks again: a new run, with the first answer in its history.
  await page.waitForURL((url) => url.href !== first);
  await page.locator('.run-title').getByText('asks a person').waitFor();
  await page.getByRole('tab', { name: 'History' }).click();
  await page.locator('.said-tool').getByText('"kind": "green"').waitFor();
  expectQuiet(watched);
}, 60_000);
