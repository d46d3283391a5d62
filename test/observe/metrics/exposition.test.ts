// What Prometheus reads, and that the documents speak of the metrics that there are.

import { describe, expect, test } from 'bun:test';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { METRICS } from '../../../src/observe/metrics/catalogue.ts';
import { createMeter } from '../../../src/observe/metrics/meter.ts';
import { RUN_REASONS } from '../../../src/runs/reasons.ts';
import { ROOT } from '../../support/binary.ts';
import { ended, facts, scrape, sources, valuesOf } from './kit.ts';

const read = (path: string) => readFileSync(join(ROOT, path), 'utf8');

describe('the text', () => {
  test('says of every metric what it is, once', async () => {
    const text = await scrape(createMeter());
    for (const { name, help, type } of METRICS) {
      expect(text.split(`# HELP ${name} ${help}\n# TYPE ${name} ${type}\n`)).toHaveLength(2);
    }
  });

  test('has cumulated buckets, a sum and a count', async () => {
    const meter = createMeter();
    const run = meter.probe.run(facts());
    for (const ms of [0.2, 0.2, 4, 9_000]) run.stored(1, 10, ms);
    const values = valuesOf(await scrape(meter));
    const bucket = (le: string) => values.get(`dify_agent_event_store_duration_seconds_bucket{le="${le}"}`);
    expect([bucket('0.00025'), bucket('0.0025'), bucket('0.005'), bucket('5'), bucket('+Inf')]).toEqual([
      2, 2, 3, 3, 4,
    ]);
    expect(values.get('dify_agent_event_store_duration_seconds_count')).toBe(4);
    expect(values.get('dify_agent_event_store_duration_seconds_sum')).toBeCloseTo(9.0044, 6);
  });

  test('shows what was looked at', async () => {
    const lease = { held: true, renewed: 5, failed: 2, lost: 1 };
    const values = valuesOf(await scrape(createMeter(), sources({ lease })));
    expect(values.get('dify_agent_sse_streams_open')).toBe(2);
    expect(values.get('dify_agent_sse_events_behind_max')).toBe(5);
    expect(values.get('dify_agent_peer_connections{peer="plugin_daemon",state="waiting"}')).toBe(1);
    expect(values.get('dify_agent_lease_held')).toBe(1);
    expect(values.get('dify_agent_lease_renewals_total{outcome="failed"}')).toBe(2);
    expect(values.get('dify_agent_lease_losses_total')).toBe(1);
    expect(values.get('dify_agent_process_start_time_seconds')).toBe(1_780_388_130.204);
    const build = `dify_agent_build_info{version="1.2.3",bun="${Bun.version}",store="sqlite",wire="2026-08"}`;
    expect(values.get(build)).toBe(1);
    expect(values.get('dify_agent_process_resident_memory_bytes')).toBeGreaterThan(1e6);
  });

  test('has no lease where none is needed', async () => {
    expect([...valuesOf(await scrape(createMeter())).keys()].filter((name) => name.includes('lease'))).toEqual([]);
  });

  test('scrapes at once do not disturb each other', async () => {
    const meter = createMeter();
    meter.probe.run(facts()).end(ended('succeeded'));
    const texts = await Promise.all(Array.from({ length: 8 }, () => scrape(meter)));
    for (const text of texts) {
      expect(valuesOf(text).get('dify_agent_runs_total{outcome="succeeded",reason="none"}')).toBe(1);
    }
  });

  test('names are of one kind: a prefix, a unit, `_total` for counters', () => {
    for (const { name, type, labels } of METRICS) {
      expect(name).toMatch(/^dify_agent_[a-z_]+$/);
      expect(name.endsWith('_total')).toBe(type === 'counter');
      if (type === 'histogram') expect(name).toEndWith('_seconds');
      for (const label of labels) expect(label).toMatch(/^[a-z]+$/);
    }
  });
});

describe('the documents', () => {
  test('docs/metrics.md has every metric, as it is, and no other', () => {
    const table = METRICS.map(
      ({ name, type, labels, help }) =>
        `| \`${name}\` | ${type} | ${labels.map((l) => `\`${l}\``).join(' ')} | ${help} |`,
    );
    const lines = read('docs/metrics.md').split('\n');
    expect(lines.filter((line) => line.startsWith('| `dify_agent_'))).toEqual(table);
  });

  test('docs/metrics.md explains every reason', () => {
    const text = read('docs/metrics.md');
    const rows = [...text.matchAll(/^\| `([a-z_]+)` \| [^|]+ \|$/gm)].map(([, reason]) => reason);
    expect(rows).toEqual([...RUN_REASONS]);
  });

  const named = (text: string): readonly string[] => [...new Set(text.match(/dify_agent_[a-z_]+/g) ?? [])];
  const known = new Set(
    METRICS.flatMap(({ name, type }) =>
      type === 'histogram' ? ['_bucket', '_sum', '_count'].map((part) => name + part) : [name],
    ),
  );

  test('the dashboard is JSON, and every metric that its panels name exists', () => {
    const text = read('docs/ops/grafana-dashboard.json');
    const dashboard = JSON.parse(text) as { panels: { title: string; targets?: { expr: string }[] }[] }; // Grafana's own format
    expect(dashboard.panels.length).toBeGreaterThan(10);
    for (const { title, targets } of dashboard.panels) {
      expect(title).toBeTruthy();
      for (const { expr } of targets ?? []) {
        expect(named(expr).length).toBeGreaterThan(0);
        expect(named(expr).filter((name) => !known.has(name))).toEqual([]);
      }
    }
  });

  test('the alert rules are YAML, complete, and every metric that they name exists', () => {
    const text = read('docs/ops/alerts.yml');
    const rules = Bun.YAML.parse(text) as {
      groups: {
        rules: {
          alert: string;
          expr: string;
          labels: { severity: string };
          annotations: { summary: string; description: string };
        }[];
      }[];
    }; // Prometheus' own format
    const all = rules.groups.flatMap((group) => group.rules);
    expect(all.length).toBeGreaterThan(8);
    expect(new Set(all.map(({ alert }) => alert)).size).toBe(all.length);
    for (const { expr, labels, annotations } of all) {
      expect(['warning', 'critical']).toContain(labels.severity);
      expect([annotations.summary, annotations.description].every((line) => line.length > 10)).toBe(true);
      expect(named(expr).filter((name) => !known.has(name))).toEqual([]);
    }
  });
});
