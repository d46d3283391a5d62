// `npm run pictures:console`: the console's screens as docs/pictures/console-*.png, light and dark, with a server of its own that is
// kept busy for a while. Look at them before they are committed.

import type { Page } from 'playwright-core';
import { firstRequest } from '../../src/cli/demo-requests.ts';
import { agent, call } from '../support/agent-runs.ts';
import type { Browser } from '../support/chromium.ts';
import { createRun, FOREVER, finish, type RunBody, scripted } from '../support/runs.ts';
import { until } from '../support/until.ts';
import { inBothSchemes, pictureOf, type Scheme } from './console-camera.ts';

const SIZE = { width: 1280, height: 760 };
const NARROW = { width: 400, height: 800 };
const TENANTS = ['acme', 'northwind', 'contoso'];

/** Readings of the overview before its picture is taken: one in two seconds. */
const READINGS = 15;

const words = (text: string, delay_ms: number) => text.split(/(?<= )/).map((word) => ({ text: word, delay_ms }));

/** Thinks, asks two tools at once, is told to correct a call, and answers. */
const SHOWN: RunBody = tenanted(
  'acme',
  agent(
    [
      {
        items: [
          { thinking: 'First the stock, ', delay_ms: 240 },
          { thinking: 'then what it costs, then the boss.', delay_ms: 160 },
          ...words('Let me see what is left on the shelf.', 24),
          call('call_1', 'check_stock', { item: 'green tea' }),
          call('call_2', 'price_list', { currency: 'EUR' }),
        ],
        usage: { prompt_tokens: 61, completion_tokens: 24 },
      },
      { items: [{ text: 'Two packs are left. ', delay_ms: 180 }, call('call_3', 'reserve', { packs: -1 })] },
      { items: [{ ...call('call_4', 'reserve', { packs: 10 }), delay_ms: 120 }] },
      { items: words('Ten packs are reserved until tomorrow. Order them by noon, and they are here on Friday.', 26) },
    ],
    {
      history: true,
      prompt: 'Are we running out of green tea?',
      tools: [
        { name: 'check_stock', results: [{ content: { item: 'green tea', packs: 2, shelf: 'B4' }, delay_ms: 420 }] },
        { name: 'price_list', results: [{ content: { 'green tea': 4.5, oolong: 6.1 }, delay_ms: 260 }] },
        {
          name: 'reserve',
          results: [
            { retry: 'packs must be a positive number', delay_ms: 30 },
            { content: 'reserved until tomorrow', delay_ms: 150 },
          ],
        },
      ],
    },
  ),
);

const FAILING = agent([[call('c1', 'fetch_invoice', {})]], {
  tools: [{ name: 'fetch_invoice', results: [{ error: 'the invoice service answered 503', delay_ms: 80 }] }],
});

/** The same with an execution context. */
function tenanted(tenant_id: string, body: RunBody): RunBody {
  const { layers } = body.composition as { readonly layers: readonly object[] }; // as the builders of test/support make them
  const config = { tenant_id, user_from: 'account', agent_mode: 'workflow_run', invoke_from: 'service-api' };
  return {
    ...body,
    composition: { layers: [{ name: 'execution_context', type: 'dify.execution_context', config }, ...layers] },
  };
}

/** Runs of many kinds, some of which stay. */
async function fill(url: string): Promise<void> {
  for (let index = 0; index < 21; index += 1) {
    const tenant = TENANTS[index % TENANTS.length] ?? '';
    const usage = { prompt_tokens: 300 + index * 17, completion_tokens: 40 + index };
    const body =
      index % 7 === 3
        ? FAILING
        : agent([{ items: [{ text: 'Done.', delay_ms: 37 * index }], usage }], { history: true });
    await createRun(url, tenanted(tenant, body));
  }
  for (const tenant of TENANTS) await createRun(url, tenanted(tenant, scripted([[{ text: 'Working…' }, FOREVER]])));
}

async function takeAll(browser: Browser, url: string, scheme: Scheme): Promise<void> {
  const open = async (hash: string, viewport = SIZE): Promise<Page> =>
    (await browser.open(`${url}/console${hash}`, { viewport, colorScheme: scheme })).page;
  const take = (page: Page, name: string) => page.screenshot({ path: pictureOf(`console-${name}`, scheme) });

  await fill(url);
  const runId = await createRun(url, SHOWN);
  await finish(url, runId);
  const run = await open(`#/runs/${runId}`);
  await run.locator('.run-title').getByText('succeeded').waitFor();
  await run.getByLabel('Waterfall').getByText('check_stock').click();
  await run.locator('.event-detail').waitFor();
  await take(run, 'run');
  const narrowRun = await open(`#/runs/${runId}`, NARROW);
  await narrowRun.locator('.run-title').getByText('succeeded').waitFor();
  if (scheme === 'dark') await take(narrowRun, 'run-narrow');

  const asking = await createRun(url, firstRequest());
  await finish(url, asking);
  const question = await open(`#/runs/${asking}`);
  await question.getByLabel('Packs').fill('10');
  await take(question, 'question');

  for (const [viewport, name] of [
    [SIZE, 'runs'],
    [NARROW, 'runs-narrow'],
  ] as const) {
    const list = await open('', viewport);
    await list.locator('a.run-link').first().waitFor();
    if (viewport === SIZE || scheme === 'light') await take(list, name);
  }

  const overview = await open('#/overview');
  let readings = 0;
  overview.on('response', (response) => {
    if (response.url().endsWith('/metrics')) readings += 1;
  });
  await until(
    'the charts to have something to show',
    async () => {
      const delays = [1, 2, 3, 4].map((factor) => Math.round(Math.random() * 60 * factor));
      await Promise.all(
        delays.map((delay_ms, index) =>
          createRun(url, index === 3 ? FAILING : agent([words('One two three four.', delay_ms)])),
        ),
      );
      return readings >= READINGS;
    },
    { timeoutMs: 120_000, everyMs: 100 },
  );
  await take(overview, 'overview');
}

if (import.meta.main) await inBothSchemes(takeAll);
