// Every screen of the console as somebody uses it: a run that streams, one that is cancelled, one that fails, the list, the
// overview, a token, a narrow window, the keyboard.

import { expect, test } from 'bun:test';
import { agent, call } from '../support/agent-runs.ts';
import { startChromium } from '../support/chromium.ts';
import { createRun, FOREVER, finish, scripted } from '../support/runs.ts';
import { startServer } from '../support/server.ts';
import { axeFaults, consoleWorld, expectQuiet, goTo, overflow, runFromPage, untilInPage } from './console-kit.ts';

const world = consoleWorld();

const SLOW_TOOL = { name: 'check_stock', results: [{ content: { item: 'green tea', packs: 2 }, delay_ms: 300 }] };
const RETRYING_TOOL = { name: 'reserve', results: [{ retry: 'packs must be positive' }, { content: 'reserved' }] };

/** Thinks, talks, calls a tool, is told to correct another call, and answers. */
const WORKING = agent(
  [
    [
      { thinking: 'First the stock.', delay_ms: 100 },
      { text: 'Let me see ' },
      { text: 'what is left.', delay_ms: 100 },
      call('call_1', 'check_stock', { item: 'green tea' }),
    ],
    [call('call_2', 'reserve', { packs: -1 })],
    [call('call_3', 'reserve', { packs: 10 })],
    [{ text: 'Ten packs ' }, { text: 'are reserved.', delay_ms: 200 }],
  ],
  { tools: [SLOW_TOOL, RETRYING_TOOL], history: true },
);

test('a run is followed while it streams: waterfall, thinking, tools, retries, raw events, history, layers, snapshot', async () => {
  const runId = await createRun(world.url, WORKING);
  const watched = await world.open(`#/runs/${runId}`);
  const { page } = watched;
  await page.locator('.answer-text').getByText('Let me see what is left.').waitFor();
  await page.getByText('Ten packs are reserved.').first().waitFor();
  await page.locator('.run-title').getByText('succeeded').waitFor();

  const rows = page.getByLabel('Waterfall').locator('button.wf-row');
  expect(await rows.locator('.wf-name, .wf-note').allTextContents()).toEqual([
    'Model 1',
    'check_stock',
    'Model 2',
    'reserve',
    'retried',
    'Model 3',
    'retry',
    'reserve',
    'Model 4',
  ]);
  // Zoomed and back.
  const before = await page.locator('.wf-axis').first().textContent();
  await page.getByRole('button', { name: 'Zoom in' }).click();
  expect(await page.locator('.wf-axis').first().textContent()).not.toBe(before);
  await page.getByRole('button', { name: 'fit' }).click();
  expect(await page.locator('.wf-axis').first().textContent()).toBe(before);

  await page.getByText('Thought').first().click();
  await page.locator('.thought-text').getByText('First the stock.').waitFor();
  await page.locator('details.call', { hasText: 'check_stock' }).locator('summary').click();
  await page.locator('.call-body pre').getByText('"packs": 2').waitFor();
  expect(await page.locator('details.call.warn pre').last().textContent()).toBe('packs must be positive');

  // A row of the waterfall chooses its event, with the cursor that the server gave it.
  await rows.nth(1).click();
  const cursor = await page.locator('.event-cursor code').textContent();
  const { frames } = await finish(world.url, runId);
  const called = frames.find(({ data }) => data.includes('"event_kind":"function_tool_call"'));
  expect(cursor).toBe(called?.id ?? '');
  const total = Number(await page.locator('.events .count').textContent());
  expect(total).toBe(frames.length);
  await page.getByText('without deltas').click();
  expect(Number(await page.locator('.events .count').textContent())).toBeLessThan(total);
  expect(await axeFaults(page)).toEqual([]);

  await page.getByRole('tab', { name: 'History' }).click();
  await page.locator('.said-user').getByText('Go.').waitFor();
  expect(await page.locator('.said-call .said-who').first().textContent()).toContain('check_stock');
  expect(await axeFaults(page)).toEqual([]);
  await page.getByRole('tab', { name: 'Layers' }).click();
  expect(await page.locator('.graph-name').allTextContents()).toEqual(['prompt', 'history', 'llm']);
  expect(await page.locator('.graph-state').first().textContent()).toBe('new → suspended');
  expect(await axeFaults(page)).toEqual([]);
  await page.getByRole('tab', { name: 'Snapshot' }).click();
  await page.locator('.snapshot-layer', { hasText: 'history' }).locator('.tree-node').first().click();
  await page.locator('.tree-key').getByText('messages', { exact: true }).waitFor();
  expect(await axeFaults(page)).toEqual([]);
  expectQuiet(watched);
}, 60_000);

test('a run is cancelled after a question whether that is meant', async () => {
  const runId = await createRun(world.url, scripted([[{ text: 'Working…' }, FOREVER]]));
  const watched = await world.open(`#/runs/${runId}`);
  const { page } = watched;
  await page.getByText('Working…').first().waitFor();
  await page.getByRole('button', { name: 'Cancel run' }).click();
  await page.getByRole('button', { name: 'Keep running' }).click();
  await page.getByRole('button', { name: 'Cancel run' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Message').fill('not needed any more');
  expect(await axeFaults(page)).toEqual([]);
  await dialog.getByRole('button', { name: 'Cancel run' }).click();
  await page.locator('.run-title').getByText('cancelled').waitFor();
  await page.getByRole('alert').getByText('not needed any more').waitFor();
  expect((await finish(world.url, runId)).terminal).toMatchObject({ reason: 'user_cancelled' });
  expectQuiet(watched);
}, 60_000);

test('a failing run says why, at the place where it failed', async () => {
  const runId = await createRun(
    world.url,
    agent([[{ text: 'Let me try.' }, call('c1', 'break', { hard: true })]], {
      tools: [{ name: 'break', results: [{ error: 'the disk is on fire' }] }],
    }),
  );
  const watched = await world.open(`#/runs/${runId}`, { colorScheme: 'dark' });
  const { page } = watched;
  await page.getByRole('alert').getByText('the disk is on fire').waitFor();
  await page.getByLabel('Waterfall').locator('.wf-row.bad').getByText('unanswered').waitFor();
  expect(await axeFaults(page)).toEqual([]);
  expectQuiet(watched);
}, 60_000);

test('the list is live, narrowed by status, and walked through with the keyboard', async () => {
  const ended = await createRun(world.url, scripted([[{ text: 'Done.' }]]));
  await finish(world.url, ended);
  const watched = await world.open();
  const { page } = watched;
  const link = (id: string) => page.locator(`a.run-link[href="#/runs/${id}"]`);
  await link(ended).waitFor();
  const running = await createRun(world.url, scripted([[FOREVER]]));
  await link(running).waitFor();
  expect(await page.locator('tbody tr').first().textContent()).toContain('running');
  await page.keyboard.press('j');
  await page.keyboard.press('j');
  await page.keyboard.press('k');
  expect(await page.evaluate('document.activeElement.getAttribute("href")')).toBe(`#/runs/${running}`);
  expect(await axeFaults(page)).toEqual([]);

  await page.locator('.segments').getByText('succeeded').click();
  await link(running).waitFor({ state: 'detached' });
  await link(ended).waitFor();
  await page.locator('.segments').getByText('all').click();
  await page.keyboard.press('Escape');
  await page.getByRole('searchbox').fill(running.slice(0, 20));
  await link(ended).waitFor({ state: 'detached' });
  await link(running).waitFor();
  await page.getByRole('searchbox').fill('no such run');
  await page.getByText('No run is like this.').waitFor();
  await page.getByRole('button', { name: 'Show all runs' }).click();
  await link(ended).waitFor();
  await link(running).focus();
  await page.keyboard.press('Enter');
  await page.getByRole('button', { name: 'Cancel run' }).waitFor();
  expectQuiet(watched);
}, 60_000);

test('a run that was started from the page shows its layers and what it depends on, and goes back to be changed', async () => {
  const watched = await world.open();
  const { page } = watched;
  await runFromPage(page, scripted([[{ text: 'First.' }]], { prompt: 'A prompt to be found again' }));
  await page.locator('.answer-text').getByText('First.').waitFor();
  await page.getByRole('tab', { name: 'Layers' }).click();
  expect(await page.locator('.graph-type').allTextContents()).toEqual(['plain.prompt', 'test.scripted_llm']);
  await page.getByRole('button', { name: 'Run again with changes' }).click();
  await page.waitForURL('**#/compose');
  await untilInPage(
    page,
    'the prompt',
    `[...document.querySelectorAll('textarea, input')].some(({ value }) => value.includes('A prompt to be found again'))`,
  );
  expectQuiet(watched);
}, 60_000);

test('the overview has charts that move and says what is running', async () => {
  const runId = await createRun(world.url, scripted([[FOREVER]]));
  const watched = await world.open('#/overview');
  const { page } = watched;
  await page.locator('.chart', { hasText: 'Active runs' }).locator('canvas').waitFor();
  await page.locator(`a[href="#/runs/${runId}"]`).waitFor();
  const drawn = () => page.locator('.chart canvas').first().evaluate('(canvas) => canvas.toDataURL()');
  const first = await drawn();
  const moved = `document.querySelector('.chart canvas')?.toDataURL() !== ${JSON.stringify(first)}`;
  await untilInPage(page, 'a chart that has moved', moved);
  expect(await axeFaults(page)).toEqual([]);
  expectQuiet(watched);
}, 60_000);

test('at 400 px nothing is wider than the window', async () => {
  const runId = await createRun(world.url, WORKING);
  const watched = await world.open('', { viewport: { width: 400, height: 800 } });
  const { page } = watched;
  await page.locator('a.run-link').first().waitFor();
  expect(await overflow(page)).toBe(0);
  expect(await axeFaults(page)).toEqual([]);
  for (const hash of [`#/runs/${runId}`, '#/overview', '#/compose']) {
    await goTo(page, hash);
    await page.locator('h1').waitFor();
    expect(await overflow(page)).toBe(0);
  }
  expectQuiet(watched);
}, 60_000);

test('an unknown run and an unknown address are said to be that', async () => {
  const { page } = await world.open('#/runs/no-such-run');
  await page.getByText('The server knows no such run.').waitFor();
  await goTo(page, '#/else/where');
  await page.getByText('There is nothing at this address.').waitFor();
}, 60_000);

test('a server with a token is asked with it; the token is nowhere but in memory', async () => {
  const token = 'a-token-of-the-console-test-0123456789';
  const server = await startServer({ env: { DIFY_AGENT_API_TOKEN: token } });
  const browser = await startChromium();
  try {
    const { page } = await browser.open(`${server.url}/console`);
    await page.getByText('This server asks for a token.').waitFor();
    await page.getByRole('button', { name: 'Enter a token' }).click();
    await page.getByRole('dialog').getByLabel('Token').fill('wrong');
    await page.getByRole('button', { name: 'Use', exact: true }).click();
    await page.getByText('The server does not accept this token.').waitFor();
    await page.getByRole('button', { name: 'Enter a token' }).click();
    await page.getByRole('dialog').getByLabel('Token').fill(token);
    await page.getByRole('button', { name: 'Use', exact: true }).click();
    await page.getByText('There are no runs yet.').waitFor();
    const kept = await page.evaluate(
      'JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie, location.href])',
    );
    expect(kept).not.toContain(token);
    await page.reload();
    await page.getByText('This server asks for a token.').waitFor();
  } finally {
    await browser.close();
    await server.dispose();
  }
}, 60_000);

test('a server without a list of runs says so, and opens a run by its id; one without metrics has no charts', async () => {
  const env = { DIFY_AGENT_RUN_INDEX_ENABLED: 'false', DIFY_AGENT_METRICS_ENABLED: 'false' };
  const server = await startServer({ env });
  const browser = await startChromium();
  try {
    const runId = await createRun(server.url, scripted([[{ text: 'Found.' }]]));
    const { page, requests } = await browser.open(`${server.url}/console`);
    await page.getByText('This server does not list runs').waitFor();
    await page.getByLabel('Run id').fill(` ${runId} `);
    await page.getByRole('button', { name: 'Open' }).click();
    await page.locator('.answer-text').getByText('Found.').waitFor();
    // It was asked once, and is not asked again.
    expect(requests.filter((url) => url.includes('/runs?')).length).toBe(1);
    await goTo(page, '#/overview');
    await page.getByText('Metrics are off').waitFor();
    await page.getByText('Nothing is running.').waitFor();
  } finally {
    await browser.close();
    await server.dispose();
  }
}, 60_000);
