// The screen of the server itself: what it is, what it does now, and charts of the last minutes, from /internal/status and
// /metrics. Either may be missing; the rest is shown.

import { type Signal, useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { ApiError, problemOf } from '../api.ts';
import { useConsole } from '../context.ts';
import { usePolling, useTitle } from '../hooks.ts';
import { brief } from '../visible.ts';
import { Chart } from './chart.tsx';
import { CHARTS } from './charts.ts';
import { type Point, withReading } from './history.ts';
import { ActiveRuns, Facts, Peers } from './lists.tsx';
import { parseMetrics } from './prometheus.ts';
import { readStatus, type ServerStatus } from './status.ts';

const EVERY_MS = 2_000;

/** What keeps a part of the screen empty; an empty text: nothing. `off`: the server has no such part. */
interface Gap {
  readonly text: string;
  readonly off: boolean;
}

interface Gaps {
  readonly status: Gap;
  readonly metrics: Gap;
}

const NO_GAP: Gap = { text: '', off: false };
const NO_GAPS: Gaps = { status: NO_GAP, metrics: NO_GAP };
const MISSING: Readonly<Record<keyof Gaps, string>> = {
  status: 'This server does not tell its status.',
  metrics: 'Metrics are off (DIFY_AGENT_METRICS_ENABLED): there are no charts.',
};

export function OverviewScreen() {
  const { api } = useConsole();
  useTitle('Overview');
  const status = useSignal<ServerStatus | null>(null);
  const history = useSignal<readonly Point[]>([]);
  const gaps = useSignal<Gaps>(NO_GAPS);
  const token = api.token.value;

  useEffect(() => {
    gaps.value = NO_GAPS;
  }, [token]);
  usePolling(
    async (signal) => {
      /** Does a part, unless the server said that it has none; resolves with whether it is worth asking again, and when. */
      const part = async (name: keyof Gaps, work: () => Promise<void>): Promise<'done' | 'failed' | 'off'> => {
        if (gaps.value[name].off) return 'off';
        let gap = NO_GAP;
        try {
          await work();
        } catch (error) {
          if (signal.aborted) return 'done';
          // 403: the status is not for callers from elsewhere without a token.
          const off = error instanceof ApiError && (error.missing || error.status === 403);
          gap = { text: off && error.missing ? MISSING[name] : problemOf(error), off };
        }
        if (!signal.aborted) gaps.value = { ...gaps.value, [name]: gap };
        return gap.off ? 'off' : gap === NO_GAP ? 'done' : 'failed';
      };
      const outcomes = await Promise.all([
        part('status', async () => {
          status.value = readStatus(await api.json('/internal/status', signal));
        }),
        part('metrics', async () => {
          const text = await api.text('/metrics', signal);
          if (!signal.aborted) history.value = withReading(history.value, parseMetrics(text, Date.now()));
        }),
      ]);
      if (outcomes.every((outcome) => outcome === 'off')) return 'stop';
      return !outcomes.includes('failed');
    },
    EVERY_MS,
    [token],
  );

  return (
    <div class="page">
      <div class="page-head">
        <h1>Overview</h1>
      </div>
      <GapNotice gap={gaps.value.status} />
      {status.value !== null && <Facts status={status.value} />}
      <GapNotice gap={gaps.value.metrics} />
      <Charts history={history} />
      {status.value !== null && (
        <div class="overview-lists">
          <ActiveRuns status={status.value} />
          <Peers status={status.value} now={history.value.at(-1)?.reading.at ?? Date.now()} />
        </div>
      )}
    </div>
  );
}

function GapNotice({ gap: { text, off } }: { readonly gap: Gap }) {
  return text === '' ? null : <p class={`notice ${off ? '' : 'bad'}`}>{brief(text, 300)}</p>;
}

function Charts({ history }: { readonly history: Signal<readonly Point[]> }) {
  const points = history.value;
  if (points.length === 0) return null;
  const times = points.map(({ reading }) => reading.at / 1000);
  return (
    <section class="charts" aria-label="Charts">
      {CHARTS.map((spec, chart) => {
        const values = spec.lines.map((_, line) => points.map((point) => point.values[chart]?.[line] ?? null));
        // A single point draws nothing, and a metric that is not there never will.
        const known = values.some((line) => line.some((value) => value !== null));
        return known ? <Chart key={spec.title} spec={spec} times={times} values={values} /> : null;
      })}
    </section>
  );
}
