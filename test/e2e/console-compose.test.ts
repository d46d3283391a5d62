// The compose screen as somebody uses it: forms and text that are one document, presets, what is wrong at its place, keys that
// stay in memory, snippets, runs that are started, repeated and continued.

import { expect, test } from 'bun:test';
import type { Page } from 'playwright-core';
import { startServer } from '../support/server.ts';
import { axeFaults, consoleWorld, expectQuiet, goTo, overflow, untilInPage } from './console-kit.ts';

const world = consoleWorld();

const editor = (page: Page) => page.locator('.editor textarea');
const card = (page: Page, name: string) =>
  page.locator('.layer', { has: page.locator(`.layer-title >> text="${name}"`) });
const run = (page: Page) => page.getByRole('button', { name: /^Run( anyway)?$/ }).click();
/** What got through of an attack. */
const DAMAGE = `({
  pwned: 'pwned' in globalThis,
  elements: document.querySelectorAll('#app img, #app script, #app [onerror]').length,
  turned: /[\\u202a-\\u202e\\u2066-\\u2069]/.test(
    document.querySelector('#app').textContent +
      ['title', 'aria-label', 'placeholder'].flatMap((name) =>
        [...document.querySelectorAll('#app [' + name + ']')].map((one) => one.getAttribute(name)),
      ),
  ),
})`;
/** The document as the editor has it. */
const written = async (page: Page) => JSON.parse(await editor(page).inputValue());

test('a composition is built from forms, a layer is removed and brought back, and it runs', async () => {
  const watched = await world.open('#/compose');
  const { page } = watched;
  await page.getByRole('button', { name: 'Remove prompt', exact: true }).click();
  await page.getByRole('button', { name: 'Remove llm', exact: true }).click();
  await page.getByText('A model is missing').first().waitFor();

  const add = async (type: string) => {
    await page.getByRole('button', { name: 'Add a layer' }).click();
    await page.locator('.types button', { hasText: type }).click();
  };
  await add('test.scripted_llm');
  await add('plain.prompt');
  // The keyboard is in what was added.
  expect(
    await page.evaluate('document.activeElement.closest(".layer").querySelector(".layer-title").textContent'),
  ).toContain('prompt');
  await card(page, 'prompt').getByLabel('user', { exact: true }).fill('Who are\nyou?');
  await card(page, 'llm').getByLabel('text', { exact: true }).fill('A "scripted" model.');
  await page.getByRole('button', { name: 'Move prompt up' }).click();
  await card(page, 'llm').getByRole('button', { name: 'Add usage to' }).click();
  await card(page, 'llm').getByLabel('prompt_tokens required').fill('7.0');
  await card(page, 'prompt').getByLabel('Name').fill('task');
  // Takes the name, and starts nothing.
  await page.keyboard.press('Enter');
  await card(page, 'task').waitFor();
  expect(await editor(page).inputValue()).toContain('"prompt_tokens": 7.0');
  expect(await written(page)).toEqual({
    composition: {
      layers: [
        { name: 'task', type: 'plain.prompt', config: { user: 'Who are\nyou?' } },
        {
          name: 'llm',
          type: 'test.scripted_llm',
          config: {
            turns: [{ items: [{ text: 'A "scripted" model.' }], usage: { prompt_tokens: 7, completion_tokens: 0 } }],
          },
        },
      ],
    },
  });
  await page.getByRole('button', { name: 'Remove task', exact: true }).click();
  await page.getByRole('button', { name: 'Undo' }).click();
  await card(page, 'task').waitFor();
  expect(await axeFaults(page)).toEqual([]);
  await page.keyboard.press('Control+Enter');
  await page.locator('.run-title').getByText('succeeded').waitFor();
  await page.getByText('A "scripted" model.').first().waitFor();
  expectQuiet(watched);
}, 60_000);

test('text that is no JSON is told with its place; forms wait for it', async () => {
  const watched = await world.open('#/compose');
  const { page } = watched;
  await editor(page).fill('{\n  "composition": {\n    "layers": [1, ]\n  }\n}');
  await page.getByText('The text is not JSON yet: line 3, column 19.').waitFor();
  expect(await page.locator('[inert] .layer').count()).toBe(2);
  expect(await page.locator('.editor-gutter .error').textContent()).toBe('3');
  await run(page);
  await page.getByRole('alert').getByText('No comma may stand before “]”.').waitFor();
  await page.getByRole('alert').getByRole('button', { name: '3:19' }).click();
  await untilInPage(
    page,
    'the cursor in line 3',
    'document.activeElement.value.slice(0, document.activeElement.selectionStart).split("\\n").length === 3',
  );
  expect(await axeFaults(page)).toEqual([]);
  await editor(page).fill('{"layers": [{"name": "a", "type": "plain.prompt", "config": {"usr": 1}}]}');
  await page.locator('.problems').getByText('Is “user” meant?').waitFor();
  await card(page, 'a').locator('.issue', { hasText: 'There is no such key here.' }).waitFor();
  expectQuiet(watched);
}, 60_000);

test('text that is no JSON yet is there again after another screen, and so is the key behind its placeholder', async () => {
  const watched = await world.open('#/compose');
  const { page } = watched;
  await page.getByRole('button', { name: 'Plugin model', exact: true }).click();
  await card(page, 'llm').getByLabel('openai_api_key', { exact: true }).fill('sk-kept');
  const broken = `${(await editor(page).inputValue()).slice(0, -2)}, "half": [`;
  await editor(page).fill(broken);
  await page.getByRole('link', { name: 'Overview' }).click();
  await page.getByRole('heading', { name: 'Overview' }).waitFor();
  await page.goBack();
  await page.getByText('The text is not JSON yet').first().waitFor();
  expect(await editor(page).inputValue()).toBe(broken);
  await editor(page).fill(`${broken}]}`);
  await page.locator('[inert]').waitFor({ state: 'detached' });
  expect(await card(page, 'llm').getByLabel('openai_api_key', { exact: true }).inputValue()).toBe('sk-kept');
  expectQuiet(watched);
}, 60_000);

test('what is wrong does not keep anybody from running; what the server says stands at the field', async () => {
  const watched = await world.open('#/compose');
  const { page } = watched;
  const good = await written(page);
  await editor(page).fill(JSON.stringify({ ...good, on_exit: { default: 'keep' }, nope: 1 }, null, 2));
  await run(page);
  await page.getByRole('alert').getByText('It can be run all the same').waitFor();
  await run(page);
  await page.getByRole('alert').getByText('The server refuses this request.').waitFor();
  const field = page.locator('[data-path=\'["on_exit","default"]\']');
  await field.getByText("Server: Input should be 'delete' or 'suspend'.").waitFor();
  await page.getByRole('alert').getByText('Server: Extra inputs are not permitted.').waitFor();
  expect(await axeFaults(page)).toEqual([]);
  // Changed, it is not wrong any more.
  await field.locator('select').selectOption({ label: 'delete' });
  await field.getByText('Server:').waitFor({ state: 'detached' });
  await page.getByRole('button', { name: 'Remove nope' }).click();
  await page.getByRole('button', { name: 'Run', exact: true }).click();
  await page.locator('.run-title').getByText('succeeded').waitFor();
  // The browser itself logs the refusal.
  expect(watched.errors.filter((error) => !error.includes('422'))).toEqual([]);
  expect(watched.foreign()).toEqual([]);
}, 60_000);

test('keys and values are completed with the keyboard', async () => {
  const watched = await world.open('#/compose');
  const { page } = watched;
  await editor(page).fill('');
  await editor(page).pressSequentially('{"comp');
  await page.locator('.suggestions').getByRole('option', { name: 'composition' }).waitFor();
  await page.keyboard.press('Enter');
  await editor(page).pressSequentially('"lay');
  await page.keyboard.press('Tab');
  await editor(page).pressSequentially('{"type": "pro');
  await page.locator('.suggestions').getByRole('option', { name: 'plain.prompt' }).waitFor();
  expect(await axeFaults(page)).toEqual([]);
  await page.keyboard.press('Enter');
  await editor(page).pressSequentially(', ');
  await page.keyboard.press('Control+Space');
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('Escape');
  expect(await page.locator('.suggestions').count()).toBe(0);
  await editor(page).pressSequentially('"name": "p"}');
  expect((await editor(page).inputValue()).replace(/\s/g, '')).toBe(
    '{"composition":{"layers":[{"type":"plain.prompt","name":"p"}]}',
  );
  // What was taken can be undone like anything that was typed.
  await page.keyboard.press('Control+z');
  expect(await editor(page).inputValue()).not.toContain('"p"}');
  // And the area can be left with Tab.
  await page.keyboard.press('Tab');
  expect(await page.evaluate('document.activeElement.tagName')).not.toBe('TEXTAREA');
  expectQuiet(watched);
}, 60_000);

test('a key is masked, posted, and nowhere else', async () => {
  const watched = await world.open('#/compose');
  const { page } = watched;
  const secret = 'sk-"zq7\\\'key';
  await page.getByRole('button', { name: 'Plugin model', exact: true }).click();
  const key = card(page, 'llm').getByLabel('openai_api_key', { exact: true });
  await key.fill(secret);
  expect(await key.getAttribute('type')).toBe('password');
  await card(page, 'execution_context').getByLabel('tenant_id required').fill('t');
  const shown = async () => {
    const values =
      'JSON.stringify([...document.querySelectorAll("textarea, input:not([type=password])")].map((e) => e.value))';
    return `${await page.locator('#app').textContent()}${await page.evaluate(values)}`;
  };
  for (const tab of ['curl', 'TypeScript', 'Python', 'JSON']) {
    await page.getByRole('tab', { name: tab }).click();
    expect([tab, (await shown()).includes('zq7')]).toEqual([tab, false]);
    if (tab !== 'JSON') await page.locator('.snippet').getByText('<secret: openai_api_key>').waitFor();
    if (tab === 'curl') expect(await axeFaults(page)).toEqual([]);
  }
  const posting = page.waitForRequest((request) => request.method() === 'POST');
  await run(page);
  expect((await posting).postDataJSON().composition.layers[3].config.credentials).toEqual({ openai_api_key: secret });
  await page.getByRole('button', { name: 'Run again with changes' }).click();
  await card(page, 'llm').waitFor();
  expect(await shown()).not.toContain('zq7');
  expect(await key.inputValue()).toBe(secret);
  // A key that is pasted into the text leaves it.
  await editor(page).fill((await editor(page).inputValue()).replace('<secret: openai_api_key>', 'sk-zq7-new'));
  await page.getByRole('tab', { name: 'JSON' }).focus();
  expect(await shown()).not.toContain('zq7');
  expect(await key.inputValue()).toBe('sk-zq7-new');
  const kept =
    'JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie, location.href, history.state])';
  expect(await page.evaluate(kept)).not.toContain('zq7');
  expectQuiet(watched);
}, 60_000);

test('every preset without keys runs; a conversation goes on with the snapshot of its run', async () => {
  const watched = await world.open('#/compose');
  const { page } = watched;
  for (const [preset, end] of [
    ['Tool call', 'succeeded'],
    ['Question to a person', 'asks a person'],
    ['Structured answer', 'succeeded'],
    ['Failing run', 'failed'],
    ['Conversation', 'succeeded'],
  ] as const) {
    await page.getByRole('button', { name: preset }).click();
    await run(page);
    await page.locator('.run-title').getByText(end).waitFor();
    await page.getByRole('link', { name: 'Compose' }).click();
  }
  await page.locator('.options summary').click();
  await page.getByRole('button', { name: 'Take', exact: true }).click();
  await page.getByText('Taken.').waitFor();
  await card(page, 'prompt').getByLabel('user', { exact: true }).fill('What is my name?');
  await run(page);
  await page.locator('.run-title').getByText('succeeded').waitFor();
  await page.getByRole('tab', { name: 'History' }).click();
  await page.getByRole('tabpanel').getByText('What is my name?').waitFor();
  await page.getByRole('tabpanel').getByText('My name is Ada.').waitFor();
  expectQuiet(watched);
}, 90_000);

test('without the scripted model its presets are not offered, and it is said which setting would bring them', async () => {
  const server = await startServer({ env: { DIFY_AGENT_ENABLE_SCRIPTED_MODEL: undefined } });
  const watched = await world.open();
  const { page } = watched;
  try {
    await page.goto(`${server.url}/console#/compose`);
    await page.getByText('The scripted model is off on this server').waitFor();
    // What stands there is something that this server knows.
    await card(page, 'execution_context').waitFor();
    expect(await page.locator('.presets button').allTextContents()).toEqual([
      'Plugin model',
      'Plugin model and tool',
      'Plugin model and shell',
    ]);
    await editor(page).fill('{"layers": [{"name": "llm", "type": "test.scripted_llm", "config": {}}]}');
    await page.locator('.notice.bad', { hasText: 'This server has no test.scripted_llm' }).waitFor();
    expect(await axeFaults(page)).toEqual([]);
    expect(watched.errors).toEqual([]);
  } finally {
    await page.context().close();
    await server.dispose();
  }
}, 60_000);

test('where the status cannot be read, all presets are there, with a sentence', async () => {
  const { page } = await world.open();
  for (const [answer, reason] of [
    [{ status: 403, json: { detail: 'not for you <b>' } }, 'not for you <b>'],
    [{ status: 404, json: { detail: 'Not Found' } }, 'it does not tell its status'],
    [{ json: { version: '0.0.1' } }, 'its version does not say'],
    [{ body: 'x' }, 'not valid JSON'],
  ] as const) {
    await page.route('**/internal/status', (route) => route.fulfill(answer));
    await goTo(page, '#/compose');
    await page.locator('.presets .hint', { hasText: reason }).getByText('DIFY_AGENT_ENABLE_SCRIPTED_MODEL').waitFor();
    expect(await page.locator('.presets button').count()).toBe(10);
    await page.unroute('**/internal/status');
    await goTo(page, '#/runs');
  }
}, 60_000);

test('attacks in everything that can be pasted stay text', async () => {
  const attack = `<img src=x onerror="globalThis.pwned=1">"'><script>globalThis.pwned=1</script>\u202egnp.exe\u2066`;
  const watched = await world.open('#/compose');
  const { page } = watched;
  await editor(page).fill(
    JSON.stringify({
      composition: {
        layers: [
          {
            name: attack,
            type: 'plain.prompt',
            config: { user: attack, [attack]: attack },
            deps: { [attack]: attack },
          },
          { name: 'x', type: attack, metadata: { [attack]: attack }, config: { api_key: attack }, [attack]: 1 },
          {
            name: 'llm',
            type: 'dify.plugin.llm',
            config: { credentials: { [attack]: attack }, model_settings: { [attack]: 1 } },
          },
        ],
      },
      [attack]: attack,
      on_exit: { layers: { [attack]: attack } },
    }),
  );
  await page.locator('.layer').nth(2).waitFor();
  await run(page);
  await page.getByRole('alert').waitFor();
  for (const tab of ['curl', 'TypeScript', 'Python', 'JSON']) {
    await page.getByRole('tab', { name: tab }).click();
    const found = await page.evaluate(DAMAGE);
    expect([tab, found]).toEqual([tab, { pwned: false, elements: 0, turned: false }]);
  }
  expectQuiet(watched);
}, 60_000);

test('at 400 px, dark, everything is there and nothing is wider than the window', async () => {
  const watched = await world.open('#/compose', { viewport: { width: 400, height: 800 }, colorScheme: 'dark' });
  const { page } = watched;
  // A row of presets scrolls to the one that has the focus.
  for (const [before, name] of [
    ['Failing run', 'Conversation'],
    ['Plugin model and tool', 'Plugin model and shell'],
  ] as const) {
    await page.getByRole('button', { name: before }).focus();
    await page.keyboard.press('Tab');
    await untilInPage(
      page,
      `${name} in sight`,
      `document.activeElement.textContent === ${JSON.stringify(name)} && document.activeElement.getBoundingClientRect().right <= innerWidth`,
    );
  }
  await page.getByRole('button', { name: 'Plugin model and tool' }).click();
  await card(page, 'tools').waitFor();
  expect(await overflow(page)).toBe(0);
  expect(await axeFaults(page)).toEqual([]);
  await page.getByRole('button', { name: 'Tool call' }).click();
  await page.getByRole('button', { name: 'Add a layer' }).click();
  expect(await overflow(page)).toBe(0);
  for (const tab of ['JSON', 'curl', 'Form']) {
    await page.getByRole('tab', { name: tab }).click();
    expect([tab, await overflow(page)]).toEqual([tab, 0]);
  }
  await card(page, 'prompt').getByLabel('user', { exact: true }).fill('Hello from a small window');
  await run(page);
  await page.locator('.run-title').getByText('succeeded').waitFor();
  expectQuiet(watched);
}, 60_000);
