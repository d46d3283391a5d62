// One small chart that moves: uPlot draws, the figures beside the title are ours. Colours come from the style sheet.

import { useSignal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import UPlot from 'uplot';
import { useConsole } from '../context.ts';
import { bytes, duration, figure, timeOfDay } from '../format.ts';
import type { ChartSpec } from './charts.ts';

interface ChartProps {
  readonly spec: ChartSpec;
  /** Seconds since the epoch. */
  readonly times: readonly number[];
  /** Per line, as long as `times`. */
  readonly values: readonly (readonly (number | null)[])[];
}

const HEIGHT = 120;

export function Chart({ spec, times, values }: ChartProps) {
  const { theme } = useConsole();
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<UPlot | null>(null);
  /** The point under the pointer; null: the newest. */
  const pointed = useSignal<number | null>(null);
  const dark = useDark();
  const data = [times, ...values] as unknown as UPlot.AlignedData; // uPlot does not write into it
  const print = printerOf(spec.unit);

  useEffect(() => {
    const element = box.current;
    if (element === null) return;
    const style = getComputedStyle(element);
    const colour = (name: string) => style.getPropertyValue(`--${name}`).trim();
    const made = new UPlot(
      {
        width: element.clientWidth,
        height: HEIGHT,
        legend: { show: false },
        cursor: { y: false, drag: { x: false, y: false }, points: { size: 5 } },
        scales: { y: { range: (_plot, _low, high) => [0, Math.max(high * 1.15, Number.MIN_VALUE) || 1] } },
        axes: [
          {
            stroke: colour('muted'),
            grid: { show: false },
            ticks: { show: false },
            size: 20,
            space: 90,
            values: (_plot, ticks) => ticks.map((seconds) => timeOfDay(seconds * 1000).slice(0, 8)),
            font: axisFont(style),
          },
          {
            stroke: colour('muted'),
            grid: { stroke: colour('line'), width: 1 },
            ticks: { show: false },
            size: 52,
            space: 32,
            font: axisFont(style),
            values: (_plot, ticks) => ticks.map(print),
          },
        ],
        series: [
          {},
          ...spec.lines.map((line) => ({
            label: line.name,
            stroke: colour(line.colour),
            width: 1.5,
            points: { show: false },
            ...(spec.lines.length === 1 ? { fill: colour('accent-soft') } : {}),
          })),
        ],
        hooks: {
          setCursor: [
            ({ cursor }) => {
              pointed.value = cursor.idx ?? null;
            },
          ],
        },
      },
      data,
      element,
    );
    plot.current = made;
    const observer = new ResizeObserver(() => made.setSize({ width: element.clientWidth, height: HEIGHT }));
    observer.observe(element);
    return () => {
      observer.disconnect();
      made.destroy();
      plot.current = null;
    };
  }, [spec, dark, theme.theme.value]);
  useEffect(() => plot.current?.setData(data), [times]);

  const place = pointed.value ?? times.length - 1;
  const figures = spec.lines.map(({ name, colour }, index) => ({
    name,
    colour,
    value: values[index]?.[place] ?? null,
  }));
  const words = figures.map(({ name, value }) => `${name} ${value === null ? 'unknown' : print(value)}`).join(', ');
  return (
    <figure class="chart">
      <figcaption>
        <span class="chart-title">{spec.title}</span>
        {figures.map(({ name, colour, value }) => (
          <span key={name} class={`chart-figure ${colour}`}>
            {spec.lines.length > 1 && <span class="chart-name">{name}</span>}
            <b>{value === null ? '–' : print(value)}</b>
          </span>
        ))}
      </figcaption>
      <div ref={box} class="chart-box" role="img" aria-label={`${spec.title}: ${words}`} />
    </figure>
  );
}

function axisFont(style: CSSStyleDeclaration): string {
  return `11px ${style.fontFamily}`;
}

function printerOf(unit: ChartSpec['unit']): (value: number) => string {
  switch (unit) {
    case 'ms':
      return duration;
    case 'B':
      return bytes;
    case '/s':
      return (value) => `${figure(value)}/s`;
    case '%':
      return (value) => `${figure(value)} %`;
    case '':
      return figure;
  }
}

/** Whether the system wants dark colours. */
function useDark(): boolean {
  const dark = useSignal(matchMedia('(prefers-color-scheme: dark)').matches);
  useEffect(() => {
    const query = matchMedia('(prefers-color-scheme: dark)');
    const listen = (): void => {
      dark.value = query.matches;
    };
    query.addEventListener('change', listen);
    return () => query.removeEventListener('change', listen);
  }, []);
  return dark.value;
}
