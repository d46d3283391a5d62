import { describe, expect, test } from 'bun:test';
import { CHARTS } from '../../src/console/overview/charts.ts';
import { MAX_POINTS, type Point, withReading } from '../../src/console/overview/history.ts';
import { parseMetrics, quantileOf, rateOf, sumOf } from '../../src/console/overview/prometheus.ts';
import { readStatus } from '../../src/console/overview/status.ts';
import { METRICS } from '../../src/observe/metrics/catalogue.ts';
import { createMeter } from '../../src/observe/metrics/meter.ts';
import { statusReport } from '../../src/observe/status.ts';

const NO_STREAMS = { open: 0, opened: 0, eventsSent: 0, bytesSent: 0, behind: 0, maxBehind: 0, stuck: 0 };

/** A reading that remembers what it is asked for. */
class Asked extends Map<string, never> {
  readonly names = new Set<string>();

  override get(name: string): undefined {
    this.names.add(name.replace(/_bucket$/, ''));
    return undefined;
  }
}

describe('the text of /metrics', () => {
  test('names, labels with escapes, and values are read; what is no line is left out', () => {
    const reading = parseMetrics(
      [
        '# HELP a text',
        'a 1',
        'b{x="1",y="a\\"b\\n\\\\,}"} 2.5 1700000000',
        'b{x="2"} +Inf',
        'c NaN',
        'broken{',
        '',
        'd 1e3',
      ].join('\n'),
      0,
    );
    expect(sumOf(reading, 'a')).toBe(1);
    expect(reading.metrics.get('b')?.[0]).toEqual({ labels: { x: '1', y: 'a"b\n\\,}' }, value: 2.5 });
    expect(sumOf(reading, 'b', { x: '2' })).toBe(Number.POSITIVE_INFINITY);
    expect(sumOf(reading, 'c')).toBeNull();
    expect(sumOf(reading, 'd')).toBe(1000);
  });

  test('labels named like members of objects are labels', () => {
    expect(sumOf(parseMetrics('a{__proto__="x",constructor="y"} 4', 0), 'a', { constructor: 'y' })).toBe(4);
  });

  test('rates, over restarts and for label sets that are new', () => {
    const before = parseMetrics('runs{o="ok"} 10\n', 0);
    expect(rateOf(before, parseMetrics('runs{o="ok"} 30', 2_000), 'runs')).toBe(10);
    expect(rateOf(before, parseMetrics('runs{o="ok"} 4', 2_000), 'runs')).toBe(2);
    expect(rateOf(before, parseMetrics('runs{o="ok"} 10\nruns{o="bad"} 6', 2_000), 'runs', { o: 'bad' })).toBe(3);
    expect(rateOf(before, parseMetrics('other 1', 2_000), 'runs')).toBeNull();
    expect(rateOf(parseMetrics('', 0), parseMetrics('runs 5', 1_000), 'runs')).toBeNull();
  });

  test('quantiles of what came between two readings, over all label sets', () => {
    const at = (lines: string[]) => parseMetrics(lines.join('\n'), 0);
    const before = at(['t_bucket{le="1"} 100', 't_bucket{le="2"} 100', 't_bucket{le="+Inf"} 100']);
    const now = at(['t_bucket{le="1"} 100', 't_bucket{le="2"} 110', 't_bucket{le="+Inf"} 110']);
    expect(quantileOf(before, now, 't', 0.5)).toBe(1.5);
    expect(quantileOf(before, before, 't', 0.5)).toBeNull();
    const far = at(['t_bucket{le="1"} 100', 't_bucket{le="2"} 100', 't_bucket{le="+Inf"} 110']);
    expect(quantileOf(before, far, 't', 0.5)).toBe(2);
  });
});

test('the history of the charts is bounded, and drops readings that no quantile looks at', () => {
  let history: readonly Point[] = [];
  for (let index = 0; index < MAX_POINTS + 50; index += 1) {
    history = withReading(history, parseMetrics(`dify_agent_process_resident_memory_bytes ${index}`, index * 2_000));
  }
  expect(history.length).toBe(MAX_POINTS);
  expect(history.filter(({ reading }) => reading.metrics.size > 0).length).toBeLessThan(40);
});

test('the charts show metrics that the server has', () => {
  const metrics = new Asked();
  const reading = { at: 1, metrics };
  for (const { lines } of CHARTS) for (const { at } of lines) at({ now: reading, before: reading, earlier: reading });
  const known = METRICS.map(({ name }) => name);
  expect(metrics.names.size).toBeGreaterThan(10);
  expect([...metrics.names].filter((name) => !known.includes(name))).toEqual([]);
});

describe('the status', () => {
  test('something else is none, and members of other shapes are left out', () => {
    for (const bad of [null, [], 'x', 3]) expect(() => readStatus(bad)).toThrow('something else');
    const odd = readStatus({ version: 5, runs: { active: 'x', oldest: [3] }, peers: 7, process: null });
    expect(odd).toMatchObject({ version: '', activeRuns: null, oldest: [], peers: [], layerTypes: null });
    expect(readStatus({ layer_types: ['a', 1, null] }).layerTypes).toEqual(['a']);
  });

  test('of our server is read whole', () => {
    const meter = createMeter();
    const sources = {
      identity: {
        version: '1',
        wire: '2026-06',
        layerTypes: ['plain.prompt', 'dify.shell'],
        store: 'sqlite',
        storeDescription: 'sqlite:x',
        startedAtMs: 0,
        startedAt: performance.now() - 5_000,
      },
      maxActiveRuns: 7,
      lease: null,
      slots: () => [{ peer: 'plugin_daemon' as const, active: 1, waiting: 0, limit: 10 }],
      streams: () => NO_STREAMS,
      stopping: () => false,
    };
    meter.probe.run({ runId: 'r1', tenantId: 't', layers: 2 });
    meter.probe
      .peer({ peer: 'plugin_daemon', method: 'POST', operation: 'llm/invoke' })
      .end({ status: null, error: 'connect_failed' });
    const read = readStatus(JSON.parse(JSON.stringify(statusReport(meter, sources, null))));
    expect(read).toMatchObject({
      version: '1',
      wire: '2026-06',
      store: 'sqlite:x',
      activeRuns: 1,
      limit: 7,
      oldest: [{ runId: 'r1', tenant: 't', phase: 'queued' }],
      peers: [
        { name: 'plugin_daemon', state: 'failing', failure: 'connect_failed at llm/invoke', connections: '1 of 10' },
      ],
    });
    expect(read.uptimeMs).toBeGreaterThan(4_000);
    expect(read.layerTypes).toEqual(['plain.prompt', 'dify.shell']);
  });
});
