// The pages about layers and sessions say what is so: their requests are posted as they stand, and the events they show
// must happen, in that order. A request is a block ```json with a composition; ```jsonl lines are `data` of events, shortened.

import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createLayerTypes } from '../../src/layers/registry.ts';
import { messageSchemas } from '../../src/protocol/messages.ts';
import { type DaemonScript, type FakeDaemon, lastItem, startFakeDaemon, toolCallItem } from '../fakes/plugin-daemon.ts';
import { type FakeShellctl, startFakeShellctl } from '../fakes/shellctl.ts';
import { ROOT } from '../support/binary.ts';
import { runToEnd } from '../support/runs.ts';
import { startServer, type TestServer } from '../support/server.ts';

const DOCS = join(ROOT, 'docs');
const PAGES = [
  ...readdirSync(join(DOCS, 'layers')).map((page) => `layers/${page}`),
  ...['sessions.md', 'errors.md', 'shell.md'],
];

/** What the daemon answers to the pages that ask one. */
const SCRIPTS: Readonly<Record<string, DaemonScript>> = {
  'layers/execution-context.md': { llm: [['Hello.', lastItem()]] },
  'layers/plugin-llm.md': { llm: [['<think>A greeting.</think>', 'Hel', 'lo.', lastItem()]] },
  'layers/plugin-tools.md': {
    llm: [
      [toolCallItem('call_1', 'weather', '{"city":"Oslo"}'), lastItem('tool_calls')],
      ['Four degrees and rain.', lastItem()],
    ],
    tool: { weather: [[{ data: { type: 'text', message: { text: '4 degrees, rain' }, meta: {} } }]] },
  },
};

let daemon: FakeDaemon;
let shellctl: FakeShellctl;
let server: TestServer;

beforeAll(async () => {
  daemon = await startFakeDaemon();
  shellctl = startFakeShellctl();
  server = await startServer({
    env: {
      DIFY_AGENT_PLUGIN_DAEMON_URL: daemon.url,
      DIFY_AGENT_SHELLCTL_ENTRYPOINT: shellctl.url,
      DIFY_AGENT_SHELLCTL_AUTH_TOKEN: shellctl.token,
    },
  });
}, 180_000);

afterAll(async () => {
  await server.dispose();
  shellctl.stop();
  await daemon.stop();
});

interface Example {
  readonly request: string;
  /** `data` of events, in order, with members left out. */
  readonly events: readonly object[];
}

/** The requests of a page, each with the events that follow it. */
function examplesIn(page: string): readonly Example[] {
  const examples: { request: string; events: object[] }[] = [];
  for (const [, language, body = ''] of textOf(page).matchAll(/^```(json|jsonl)\n([\s\S]*?)^```$/gm)) {
    if (language === 'json') examples.push({ request: body, events: [] });
    else
      examples.at(-1)?.events.push(
        ...body
          .trim()
          .split('\n')
          .map((line) => JSON.parse(line) as object),
      ); // the page's own
  }
  return examples;
}

const textOf = (page: string): string => readFileSync(join(DOCS, page), 'utf8');

describe('the examples of', () => {
  for (const page of PAGES) {
    const examples = examplesIn(page);
    if (examples.length === 0) continue;
    test(page, async () => {
      for (const { request, events } of examples) {
        daemon.play(SCRIPTS[page] ?? {});
        const run = await runToEnd(server.url, request);
        expect(run.terminal.error).toBeUndefined();
        const data = run.frames.map((frame) => (JSON.parse(frame.data) as { data: object }).data); // checked by the reader
        let from = 0;
        for (const shown of events) {
          const found = data.findIndex((actual, index) => index >= from && matches(actual, shown));
          if (found < 0) expect(data.slice(from)).toContainEqual(expect.objectContaining(shown));
          from = found + 1;
        }
        expect(daemon.violations).toEqual([]);
      }
      const said = /The tool gets `(.+)`\./.exec(textOf(page))?.[1];
      if (said !== undefined) expect(daemon.toolRequests[0]?.bodyText).toContain(`"tool_parameters":${said}`);
    });
  }
});

function matches(actual: object, shown: object): boolean {
  try {
    expect(actual).toMatchObject(shown as Record<string, unknown>);
    return true;
  } catch {
    return false;
  }
}

test('every layer type has a page, and every page of a type is of one that exists', () => {
  const unused = () => {
    throw new Error('nothing is built here');
  };
  const types = createLayerTypes({
    messages: messageSchemas({ now: () => '', toolCallId: () => '' }),
    createPluginModel: unused,
    pluginDaemon: { apiKey: '', streamItems: unused },
    scriptedModel: true,
  }).map(({ typeId }) => typeId);
  const titles = PAGES.flatMap((page) => /^# `(.+)`$/m.exec(textOf(page))?.[1] ?? []);
  expect(titles.sort()).toEqual([...types].sort());
});

test('links between pages lead somewhere', () => {
  for (const page of PAGES) {
    const folder = join(DOCS, page, '..');
    for (const [, target = ''] of textOf(page).matchAll(/\]\(([^)#:]+)\)/g)) {
      expect({ page, target, exists: Bun.file(join(folder, target)).size > 0 }).toMatchObject({ exists: true });
    }
  }
});
