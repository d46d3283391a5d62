// The small pure parts of the console.

import { describe, expect, test } from 'bun:test';
import type { JsonValue, RunEvent } from '../../src/client/types.ts';
import { age, bytes, count, duration, figure, instant } from '../../src/console/format.ts';
import { createSizes, membersOf, parseExactly, rawNumber, unwrapped } from '../../src/console/json.ts';
import { listPath } from '../../src/console/list/filters.ts';
import { joined, lengthOf, readPage, withNames } from '../../src/console/list/rows.ts';
import { parseRoute, runHref } from '../../src/console/route.ts';
import { conversationOf, messagesOf } from '../../src/console/run/conversation.ts';
import { briefOf, EventLog, MAX_EVENTS } from '../../src/console/run/event-log.ts';
import { layoutGraph, NODE_HEIGHT, NODE_WIDTH } from '../../src/console/run/graph-layout.ts';
import { createStarted } from '../../src/console/started.ts';
import { scrollTo, windowOf } from '../../src/console/ui/window.ts';
import { brief, visible } from '../../src/console/visible.ts';
import { EventLine } from './events.ts';

describe('foreign text', () => {
  test('what turns text round or cannot be seen becomes its code point', () => {
    expect(visible('a\u202eb\u2066c\u200b\0\x1b[31m\u2028\u{e0041}')).toBe(
      'a⟨U+202E⟩b⟨U+2066⟩c⟨U+200B⟩⟨U+0000⟩⟨U+001B⟩[31m⟨U+2028⟩⟨U+E0041⟩',
    );
    expect(visible('\ud800 half')).toBe('⟨U+D800⟩ half');
  });

  test('what people write stays: lines, tabs, joined emoji, Arabic', () => {
    const text = 'a\n\tb 👩‍💻 سلام é';
    expect(visible(text)).toBe(text);
    expect(visible('a\r\nb')).toBe('a\nb');
  });

  test('a brief text is one bounded line', () => {
    expect(brief('a\n\n b', 10)).toBe('a b');
    expect(brief('x'.repeat(1_000), 10)).toBe(`${'x'.repeat(10)}…`);
    expect(brief('\u202e'.repeat(50), 10).length).toBeLessThanOrEqual(12);
  });
});

describe('figures', () => {
  test('durations', () => {
    const printed = [
      0,
      0.42,
      3.14,
      340,
      999.6,
      1_240,
      59_940,
      59_990,
      185_000,
      7_620_000,
      273_600_000,
      Number.NaN,
      -1,
    ].map(duration);
    expect(printed).toEqual([
      '0 ms',
      '0.42 ms',
      '3.1 ms',
      '340 ms',
      '1.00 s',
      '1.24 s',
      '59.9 s',
      '1 min 00 s',
      '3 min 05 s',
      '2 h 07 min',
      '3 d 4 h',
      '–',
      '–',
    ]);
  });

  test('ages, sizes, counts', () => {
    expect([0, 12_500, 300_000, 8e6, 2e8, -5].map(age)).toEqual(['now', '12 s', '5 min', '2 h', '2 d', 'now']);
    expect([0, 999, 1_400, 23_000_000, 999_900, -1].map(bytes)).toEqual([
      '0 B',
      '999 B',
      '1.4 kB',
      '23 MB',
      '1.0 MB',
      '–',
    ]);
    expect([0, 999, 12_345, 1_234_567].map(count)).toEqual(['0', '999', '12,345', '1,234,567']);
    expect([0, 0.004, 1.234, 45.67, 1_234].map(figure)).toEqual(['0', '4e-3', '1.23', '45.7', '1,234']);
  });

  test('an instant keeps its microseconds, and what is no time is none', () => {
    expect(instant('2026-11-21T12:00:00.000250Z')).toBe(Date.parse('2026-11-21T12:00:00Z') + 0.25);
    expect(instant('2026-11-21T13:00:00+01:00')).toBe(Date.parse('2026-11-21T12:00:00Z'));
    for (const text of ['', 'yesterday', '2026-13-41T99:00:00Z', '2026-11-21']) expect(instant(text)).toBeNull();
  });
});

describe('addresses', () => {
  test('a run id survives its address, whatever it is', () => {
    for (const runId of ['abc', 'a/b', '../x', '#?&', 'ü💡', '%2F']) {
      expect(parseRoute(runHref(runId))).toEqual({ screen: 'run', runId });
    }
  });

  test('screens, and what is none', () => {
    expect(['', '#', '#/', '#/runs', '#/overview'].map((hash) => parseRoute(hash).screen)).toEqual([
      'runs',
      'runs',
      'runs',
      'runs',
      'overview',
    ]);
    for (const hash of ['#/nope', '#/runs/a/b', '#/runs/%', `#/runs/${'x'.repeat(600)}`, '#/runs/', '#/overview/x']) {
      expect([hash, parseRoute(hash).screen]).toEqual([hash, 'unknown']);
    }
  });
});

describe('JSON', () => {
  test('numbers keep their text', () => {
    const value = parseExactly('{"id":12345678901234567890,"price":1.0e5,"n":3}') as {
      readonly [key: string]: JsonValue;
    };
    expect(rawNumber(value.id)).toBe('12345678901234567890');
    expect(value.n).toBe(3);
    expect(JSON.stringify(value)).toContain('12345678901234567890');
  });

  test('sizes are bytes of compact JSON', () => {
    const sizes = createSizes();
    const values: JsonValue[] = [null, 'ü', [], {}, [1, 'a', null], { a: { 'ü"': [true] } }];
    for (const value of values) expect(sizes(value)).toBe(new TextEncoder().encode(JSON.stringify(value)).length);
    let deep: JsonValue = 1;
    for (let level = 0; level < 1_000; level += 1) deep = [deep];
    expect(sizes(deep)).toBe(2_001);
  });

  test('JSON text opens into its value, other text does not', () => {
    expect(unwrapped('{"a":1}')).toEqual({ a: 1 });
    expect(unwrapped('{"a"')).toBe('{"a"');
    expect(unwrapped('12')).toBe('12');
    expect(membersOf('x')).toBeNull();
    expect(membersOf(['a'])).toEqual([['0', 'a']]);
  });
});

describe('long lists', () => {
  test('only rows in sight are built, at any place', () => {
    expect(windowOf(10_000, 24, 0, 240, 2)).toEqual({ first: 0, last: 13, height: 240_000, top: 0 });
    expect(windowOf(10_000, 24, 120_000, 240, 2)).toEqual({ first: 4_998, last: 5_013, height: 240_000, top: 119_952 });
    expect(windowOf(10_000, 24, 1e9, 240, 2).last).toBe(10_000);
    expect(windowOf(0, 24, 0, 240)).toEqual({ first: 0, last: 0, height: 0, top: 0 });
  });

  test('a row that is out of sight is scrolled to', () => {
    expect(scrollTo(5, 24, 0, 240)).toBeNull();
    expect(scrollTo(50, 24, 0, 240)).toBe(50 * 24 + 24 - 240);
    expect(scrollTo(2, 24, 480, 240)).toBe(48);
  });

  test('the log forgets its oldest events and keeps its rows right', () => {
    const log = new EventLog();
    const line = new EventLine();
    log.push(line.started());
    log.push(line.text(0, 0, 'x'));
    const delta = line.delta(0, 0, 'y');
    for (let index = 0; index < MAX_EVENTS; index += 1) log.push({ ...delta, id: `9-${index}` });
    log.push(line.end(1, 0, 'z'));
    expect(log.forgotten).toBeGreaterThan(0);
    expect(log.forgotten + log.count(false)).toBe(MAX_EVENTS + 3);
    expect(log.count(true)).toBe(1);
    expect(log.at(0, true)?.type).toBe('pydantic_ai_event');
    expect(log.rowOf('9-20000', false)).toBe(20_000 + 2 - log.forgotten);
    expect(log.rowOf('none', true)).toBe(-1);
  });

  test('every kind of event is said in a few words', () => {
    const line = new EventLine();
    const events: RunEvent[] = [
      line.started(),
      line.call(1, 'a', 'stock', '{"item":"tea"}'),
      line.returned(2, 'a', 'stock', 'two'),
      line.failed(3, 'no\u202e'),
    ];
    expect(events.map((event) => briefOf(event).text)).toEqual([
      '',
      'stock({"item":"tea"})',
      'stock → two',
      'no⟨U+202E⟩',
    ]);
    const unknown = line.data(4, { event_kind: 'brand_new' } as never);
    expect(briefOf(unknown)).toEqual({ kind: 'brand_new', tone: '', text: '' });
  });
});

describe('the layers’ picture', () => {
  const layer = (name: string, ...deps: string[]) => ({
    name,
    type: 't',
    deps: Object.fromEntries(deps.map((dep, index) => [`k${index}`, dep])),
  });

  test('a layer is to the right of what it depends on, and no two overlap', () => {
    const { nodes, edges, width, height } = layoutGraph([
      layer('prompt'),
      layer('context'),
      layer('llm', 'context'),
      layer('tools', 'context'),
      layer('shell', 'tools', 'context'),
    ]);
    const at = new Map(nodes.map((node) => [node.layer.name, node]));
    for (const { from, to } of edges) expect(at.get(to)?.x ?? 0).toBeGreaterThan(at.get(from)?.x ?? 0);
    expect(edges.length).toBe(4);
    for (const one of nodes) {
      for (const other of nodes) {
        if (one === other || one.x !== other.x) continue;
        expect(Math.abs(one.y - other.y)).toBeGreaterThanOrEqual(NODE_HEIGHT);
      }
      expect(one.x + NODE_WIDTH).toBeLessThanOrEqual(width);
      expect(one.y + NODE_HEIGHT).toBeLessThanOrEqual(height);
    }
  });

  test('circles, unknown names, equal names and thousands of layers are drawn as far as they can be', () => {
    expect(layoutGraph([layer('a', 'b'), layer('b', 'a'), layer('c', 'c', 'nobody')]).nodes.length).toBe(3);
    expect(layoutGraph([layer('a'), layer('a', 'a')]).nodes.length).toBe(2);
    const many = layoutGraph(Array.from({ length: 5_000 }, (_, index) => layer(`l${index}`, `l${index - 1}`)));
    expect(many.nodes.length + many.left).toBe(5_000);
    expect(layoutGraph([])).toMatchObject({ nodes: [], edges: [] });
  });
});

describe('the list of runs', () => {
  const item = (run_id: string, more = {}) => ({
    run_id,
    status: 'running',
    created_at: '2026-11-21T12:00:00Z',
    updated_at: '2026-11-21T12:00:05Z',
    error: null,
    tenant_id: null,
    ...more,
  });

  test('is read with care', () => {
    const page = readPage({
      items: [item('a', { layers: [{ name: 'llm', type: 't', deps: { k: 'x', n: 1 } }, 7], usage: 'no' }), 5],
      next_after: 3,
    });
    expect(page.next).toBeNull();
    expect(page.rows).toMatchObject([
      { runId: 'a', tenant: '', totalTokens: null, layers: [{ name: 'llm', type: 't', deps: { k: 'x' } }] },
    ]);
    for (const bad of [null, [], {}, { items: {} }, 'x']) expect(() => readPage(bad)).toThrow('something else');
  });

  test('newer rows win over older ones of the same run', () => {
    const older = readPage({ items: [item('a'), item('b')] }).rows;
    const newer = readPage({ items: [item('c'), item('b', { status: 'failed' })] }).rows;
    expect(joined(newer, older).map(({ runId, status }) => [runId, status])).toEqual([
      ['c', 'running'],
      ['b', 'failed'],
      ['a', 'running'],
    ]);
  });

  test('a running run lasts until now, another one until its end', () => {
    const [running, ended] = readPage({ items: [item('a'), item('b', { status: 'failed' })] }).rows;
    if (running === undefined || ended === undefined) throw new Error('rows are missing');
    const now = Date.parse('2026-11-21T12:01:00Z');
    expect([lengthOf(running, now), lengthOf(ended, now)]).toEqual([60_000, 5_000]);
  });

  test('filters become a query, escaped', () => {
    expect(listPath({ status: 'failed', tenant: ' a&b ', search: 'x y', after: 'c/1', limit: 50 })).toBe(
      '/runs?status=failed&tenant=a%26b&q=x+y&after=c%2F1&limit=50',
    );
    expect(listPath({ status: '', tenant: '', search: ' ', after: null, limit: 1 })).toBe('/runs?limit=1');
  });
});

describe('a conversation', () => {
  test('is read from the history layer, message by message', () => {
    const messages = [
      {
        kind: 'request',
        parts: [
          { part_kind: 'system-prompt', content: 'Be terse.' },
          { part_kind: 'user-prompt', content: ['Hi', { kind: 'binary', data: 'x'.repeat(5_000) }] },
        ],
      },
      {
        kind: 'response',
        parts: [
          { part_kind: 'thinking', content: 'hm' },
          { part_kind: 'tool-call', tool_name: 't', args: '{"a":1}' },
        ],
      },
      {
        kind: 'request',
        parts: [
          { part_kind: 'tool-return', tool_name: 't', content: 5 },
          { part_kind: 'retry-prompt', content: 'again' },
        ],
      },
      { kind: 'response', parts: [{ part_kind: 'text', content: 'Done.' }, { part_kind: 'new-kind' }, 3] },
      'nonsense',
    ];
    const said = conversationOf(messages);
    expect(said.map(({ who }) => who)).toEqual([
      'system',
      'user',
      'user',
      'thinking',
      'call',
      'tool',
      'retry',
      'model',
      'other',
      'other',
      'other',
    ]);
    expect(said[2]?.content).toEqual({ kind: 'binary', data: '5000 characters' });
  });

  test('is missing without such a layer', () => {
    expect(messagesOf(null)).toBeNull();
    expect(
      messagesOf({ schema_version: 1, layers: [{ name: 'history', lifecycle_state: 'suspended', runtime_state: {} }] }),
    ).toBeNull();
  });
});

test('layers that the list of runs leaves out are named by the snapshot', () => {
  const listed = [{ name: 'long…', type: 'plain.prompt', deps: null }];
  const snapshot = { layers: [{ name: 'long name' }, { name: 'llm' }] };
  expect(withNames(listed, snapshot)).toEqual([...listed, { name: 'llm', type: '' }]);
  expect(withNames(listed, null)).toBe(listed);
  expect(withNames([], snapshot).map(({ name }) => name)).toEqual(['long name', 'llm']);
  const { rows } = readPage({ items: [{ run_id: 'r', layers: [], layers_omitted: 3 }, {}] });
  expect(rows.map(({ layersOmitted }) => layersOmitted)).toEqual([3, 0]);
});

test('requests of this page are kept, the newest fifty', () => {
  const started = createStarted();
  const request = { composition: { layers: [] } };
  for (let index = 0; index < 60; index += 1) started.remember(`run ${index}`, request);
  expect(started.requestOf('run 5')).toBeNull();
  expect(started.requestOf('run 59')).toBe(request);
  expect(started.runs.value.length).toBe(50);
});
