// The console with what is rare: two hundred layers, an error of 100 KB, long names with markup, a run that broke off in the
// middle of a sentence. In a small and in a large window, dark and light: nothing is wider than the window, nothing lies on
// something else, and everything that scrolls can be reached with the keyboard.

import { expect, test } from 'bun:test';
import type { Page } from 'playwright-core';
import { agent, call } from '../support/agent-runs.ts';
import { createRun, FOREVER, finish, scripted } from '../support/runs.ts';
import { axeFaults, consoleWorld, expectQuiet, goTo, overflow, untilInPage } from './console-kit.ts';

const world = consoleWorld();

const MARKUP = '<b title="x">a name & "quotes"</b>';
const WINDOWS = [
  { viewport: { width: 400, height: 800 }, colorScheme: 'dark' },
  { viewport: { width: 1280, height: 800 }, colorScheme: 'light' },
] as const;

const layers = (count: number) => [
  ...Array.from({ length: count }, (_, index) => ({
    name: index % 3 === 0 ? `${MARKUP} ${index}` : `layer_${index}`,
    type: 'plain.prompt',
    config: index === 0 ? { user: 'Hello?' } : {},
  })),
  { name: 'llm', type: 'test.scripted_llm', config: { turns: [{ items: [{ text: 'Hello.' }] }] } },
];

/** Opens a run in a window of its own. */
async function openRun(runId: string, options: (typeof WINDOWS)[number]) {
  const watched = await world.open(`#/runs/${runId}`, options);
  await watched.page.locator('.run-title').waitFor();
  return watched;
}

async function expectFits(page: Page, place: string): Promise<void> {
  expect([place, await overflow(page), await axeFaults(page)]).toEqual([place, 0, []]);
}

/** The same of a page that is too large for axe to be quick with. */
async function expectNarrow(page: Page, place: string): Promise<void> {
  expect([place, await overflow(page)]).toEqual([place, 0]);
}

test('all of two hundred layers are told, also those that the list of runs leaves out', async () => {
  const runId = await createRun(world.url, { composition: { layers: layers(200) } });
  await finish(world.url, runId);
  for (const options of WINDOWS) {
    const watched = await openRun(runId, options);
    const { page } = watched;
    await page.getByRole('tab', { name: 'Layers 201' }).click();
    await page.getByText('Of 137 layers only the names are known, from the snapshot.').waitFor();
    await page.getByText('81 more layers are not drawn.').waitFor();
    // A name ends before the number beside it.
    const crowded = `[...document.querySelectorAll('.graph-node')].filter((node) =>
      node.querySelector('.graph-name').getBBox().width + node.querySelector('.graph-name').getBBox().x >
      node.querySelector('.graph-position').getBBox().x).length`;
    expect(await page.evaluate(crowded)).toBe(0);
    await expectFits(page, 'layers');
    await page.getByRole('tab', { name: 'Snapshot' }).click();
    await expectNarrow(page, 'snapshot');
    await page.getByRole('button', { name: 'Run again with changes' }).click();
    await page.locator('.layer').first().waitFor();
    await page.getByRole('button', { name: '161 more layers' }).waitFor();
    await expectNarrow(page, 'compose');
    expectQuiet(watched);
    await page.context().close();
  }
}, 90_000);

test('a run that broke off shows what it had said, without a sign that more is to come, and all of a long error', async () => {
  const error = `It went wrong <i>here</i>: ${'é'.repeat(50_000)}`;
  const turns = [{ items: [{ thinking: 'Half a thou' }, { text: 'Half a sen' }], error }];
  const runId = await createRun(world.url, agent(turns));
  await finish(world.url, runId);
  for (const options of WINDOWS) {
    const watched = await openRun(runId, options);
    const { page } = watched;
    await page.locator('.answer-text').getByText('Half a sen').waitFor();
    await page.locator('.run-error').getByText('It went wrong <i>here</i>').waitFor();
    expect(await page.locator('.growing').count()).toBe(0);
    await expectFits(page, 'a long error');
    await page
      .getByRole('button', { name: `show all ${error.length} characters` })
      .first()
      .click();
    expect((await page.locator('.run-error').textContent())?.length).toBe(error.length);
    await goTo(page, '#/runs');
    await page.locator('.row-error').first().waitFor();
    await expectFits(page, 'the list');
    expectQuiet(watched);
    await page.context().close();
  }
}, 90_000);

test('large arguments and results scroll with the keyboard; small ones are no stop on the way', async () => {
  const rows = Array.from({ length: 200 }, (_, index) => ({ index, name: MARKUP }));
  const asked = [[call('c1', 'look', { long: 'b'.repeat(3_000) }), call('c2', 'peek')], [{ text: 'Done.' }]];
  const runId = await createRun(
    world.url,
    agent(asked, {
      history: true,
      tools: [
        { name: 'look', results: [{ content: { rows } }] },
        { name: 'peek', results: [{ content: 'little' }] },
      ],
    }),
  );
  await finish(world.url, runId);
  for (const options of WINDOWS) {
    const watched = await openRun(runId, options);
    const { page } = watched;
    for (const name of ['look', 'peek']) {
      await page.locator('.call summary', { hasText: name }).focus();
      await page.keyboard.press('Enter');
    }
    await page.getByText('little', { exact: true }).waitFor();
    expect(await page.locator('.call .json').count()).toBe(4);
    expect(await page.locator('.call .json[tabindex="0"]').count()).toBe(2);
    await page.locator('.call .json[tabindex="0"]').last().focus();
    await page.keyboard.press('PageDown');
    await untilInPage(page, 'the scroll', 'document.activeElement.scrollTop > 0');
    await expectFits(page, 'calls');
    await page.getByRole('tab', { name: 'History' }).click();
    await expectFits(page, 'history');
    expectQuiet(watched);
    await page.context().close();
  }
}, 90_000);

test('a question with the longest words that a model may use fits', async () => {
  const word = 'unbreakable'.repeat(8).slice(0, 78);
  const question = {
    title: word,
    question: word.repeat(10),
    markdown: word.repeat(10),
    fields: [
      { type: 'paragraph', name: 'a', label: word, required: true, placeholder: word },
      { type: 'select', name: 'b', label: MARKUP, options: [{ value: 'v', label: word }] },
    ],
    actions: ['primary', 'destructive', 'default'].map((style, index) => ({ id: `a${index}`, label: word, style })),
  };
  const runId = await createRun(world.url, agent([[call('q', 'ask_human', question)]], { ask: {}, history: true }));
  await finish(world.url, runId);
  for (const options of WINDOWS) {
    const watched = await openRun(runId, options);
    await watched.page.getByText(`${word} required`).waitFor();
    await expectFits(watched.page, 'question');
    expectQuiet(watched);
    await watched.page.context().close();
  }
}, 60_000);

test('labels of the time axis never lie on each other while a run grows', async () => {
  const runId = await createRun(world.url, scripted([[{ text: 'Working…' }, FOREVER]]));
  const watched = await world.open('', WINDOWS[0]);
  const { page } = watched;
  await page.clock.install();
  await goTo(page, `#/runs/${runId}`);
  await page.locator('.wf-tick').first().waitFor();
  const collisions = `(() => {
    const boxes = [...document.querySelectorAll('.wf-tick')].map((tick) => tick.getBoundingClientRect());
    return boxes.slice(1).filter((box, index) => box.left < boxes[index].right).length;
  })()`;
  for (let step = 0; step < 40; step += 1) {
    await page.clock.runFor(3_700);
    expect([step, await page.evaluate(collisions)]).toEqual([step, 0]);
  }
  expectQuiet(watched);
  await page.context().close();
}, 60_000);
