// Everything that the console shows may come from an attacker: a prompt, a model, a tool, a caller. Markup stays text, text
// cannot turn its surroundings round, and nothing becomes a link.

import { expect, test } from 'bun:test';
import type { Page } from 'playwright-core';
import { agent, call } from '../support/agent-runs.ts';
import { createRun, finish } from '../support/runs.ts';
import { consoleWorld, expectQuiet, goTo } from './console-kit.ts';

const world = consoleWorld();

/** What would run if any of it were taken for markup, a style or an address; and an override of the text's direction. */
const attack = (place: string): string =>
  `${place}<img src=x onerror="globalThis.pwned='${place}'"><script>globalThis.pwned='${place}'</script>` +
  `"'><svg onload=globalThis.pwned=1>javascript:globalThis.pwned=1 https://evil.example/ {{7*7}} \u202egnp.exe\u2066`;

/** Evaluated in the page: what got through; empty: nothing. */
const DAMAGE = `(() => {
  const found = 'pwned' in globalThis ? ['script ran: ' + globalThis.pwned] : [];
  const turned = /[\\u202a-\\u202e\\u2066-\\u2069]/;
  const all = (selector) => [...document.querySelectorAll(selector)];
  for (const element of all('#app :is(img, script, iframe, object, [onerror], [onload])')) found.push('an element: ' + element.outerHTML);
  for (const element of all('#app :is([href], [src])')) {
    const target = element.getAttribute('href') ?? element.getAttribute('src');
    if (!target.startsWith('#')) found.push('a link: ' + target);
  }
  for (const element of all('#app :is([title], [aria-label], [placeholder])')) {
    for (const { name, value } of element.attributes) if (turned.test(value)) found.push('an override in ' + name);
  }
  if (turned.test(document.querySelector('#app').textContent)) found.push('an override of the direction');
  if (turned.test(document.title)) found.push('an override in the title');
  return found;
})()`;

const damage = (page: Page): Promise<readonly string[]> => page.evaluate(DAMAGE);

/** Shows a tab, with everything that is folded in it. */
async function open(page: Page, tab: string): Promise<void> {
  await page.getByRole('tab', { name: tab }).click();
  await page.locator('.tab-panel').waitFor();
  for (let round = 0; round < 4; round += 1) {
    await page.evaluate(
      `for (const closed of document.querySelectorAll('.tree-node[aria-expanded=false]')) closed.click()`,
    );
  }
  await page.evaluate(`for (const details of document.querySelectorAll('details')) details.open = true`);
}

test('attacks in prompts, answers, thinking, tools, retries and the snapshot stay text', async () => {
  const runId = await createRun(
    world.url,
    agent(
      [
        [
          { thinking: attack('thinking') },
          { text: attack('text') },
          call('c<img src=x onerror=globalThis.pwned=2>', 'lookup', { [attack('key')]: attack('argument') }),
        ],
        [call('c2', 'again', JSON.stringify({ a: attack('retried argument') }))],
        [{ text: attack('answer') }],
      ],
      {
        history: true,
        prompt: attack('prompt'),
        tools: [
          { name: 'lookup', results: [{ content: { [attack('result key')]: [attack('result')] } }] },
          { name: 'again', results: [{ retry: attack('retry') }] },
        ],
      },
    ),
  );
  await finish(world.url, runId);
  const watched = await world.open(`#/runs/${runId}`);
  const { page } = watched;
  await page.locator('.run-title').getByText('succeeded').waitFor();
  for (const tab of ['Timeline', 'History', 'Layers', 'Snapshot']) {
    await open(page, tab);
    expect([tab, await damage(page)]).toEqual([tab, []]);
  }
  // Every event once, as a row and as a tree.
  await page.locator('.event-list').focus();
  await page.keyboard.press('Home');
  const events = Number(await page.locator('.events .count').textContent());
  for (let event = 0; event < events; event += 1) {
    await page.locator('.event-detail').waitFor();
    expect(await damage(page)).toEqual([]);
    await page.keyboard.press('ArrowDown');
  }
  expect(await page.locator('#app').textContent()).toContain('⟨U+202E⟩');
  expectQuiet(watched);
}, 90_000);

test('attacks in errors, cancel texts, tenants and names of layers stay text, in the list too', async () => {
  const failing = {
    composition: {
      layers: [
        { name: attack('layer'), type: 'plain.prompt', config: { user: 'x' } },
        {
          name: 'context',
          type: 'dify.execution_context',
          config: {
            tenant_id: attack('tenant'),
            user_from: 'account',
            agent_mode: 'workflow_run',
            invoke_from: 'service-api',
          },
        },
        {
          name: 'llm',
          type: 'test.scripted_llm',
          config: { turns: [{ items: [{ text: 'x' }], error: attack('error') }] },
        },
      ],
    },
  };
  const failed = await createRun(world.url, failing);
  await finish(world.url, failed);
  const slow = await createRun(world.url, agent([[{ text: 'x' }, { delay_ms: 600_000 }]]));
  await fetch(`${world.url}/runs/${slow}/cancel`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ reason: attack('reason'), message: attack('message') }),
  });
  await finish(world.url, slow);
  const watched = await world.open();
  const { page } = watched;
  await page.locator(`a.run-link[href="#/runs/${failed}"]`).waitFor();
  expect(await damage(page)).toEqual([]);
  for (const [runId, tabs] of [
    [failed, ['Timeline', 'Layers']],
    [slow, ['Timeline']],
  ] as const) {
    await goTo(page, `#/runs/${runId}`);
    await page.locator('.run-head .notice').waitFor();
    for (const tab of tabs) {
      await open(page, tab);
      expect([runId, tab, await damage(page)]).toEqual([runId, tab, []]);
    }
  }
  expectQuiet(watched);
}, 90_000);

test('attacks in every part of a question stay text', async () => {
  const ask = {
    title: attack('title').slice(0, 100),
    question: attack('question'),
    markdown: `[x](javascript:globalThis.pwned=3) ${attack('markdown')}`,
    fields: [
      {
        type: 'paragraph',
        name: 'a',
        label: attack('l').slice(0, 110),
        placeholder: attack('placeholder'),
        default: attack('default'),
      },
      { type: 'select', name: 'b', label: 'B', options: [{ value: attack('value'), label: attack('option') }] },
    ],
    actions: [{ id: 'go', label: '<img src=x onerror=globalThis.pwned=4>\u202e' }],
  };
  const runId = await createRun(world.url, agent([[call('q', 'ask_human', ask)]], { ask: {}, history: true }));
  await finish(world.url, runId);
  const watched = await world.open(`#/runs/${runId}`);
  await watched.page.locator('.question').waitFor();
  for (const tab of ['Timeline', 'History']) {
    await open(watched.page, tab);
    expect(await damage(watched.page)).toEqual([]);
  }
  expectQuiet(watched);
}, 90_000);

test('an attack in the address stays text', async () => {
  const { page } = await world.open(`#/runs/${encodeURIComponent(attack('address'))}`);
  await page.getByText('The server knows no such run.').waitFor();
  expect(await damage(page)).toEqual([]);
}, 60_000);
