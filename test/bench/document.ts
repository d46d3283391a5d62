// docs/performance.md's tables, and the same for the terminal. Pure, but for reading and writing the document; what stands outside the
// markers is written by hand.

import { conditionsText, type Figure, holds, limitText, number, shareOfFloor } from './figures.ts';
import { judge } from './targets.ts';

/** Where and when figures were taken. */
export interface Circumstances {
  readonly date: string;
  /** Commit, with `+` when the tree had changes. */
  readonly commit: string;
  readonly machine: string;
  readonly versions: string;
  /** Load average of the last minute before the first section. */
  readonly load: number;
  readonly blocks: number;
  readonly command: string;
}

/** A section that could not be measured. */
export interface Failure {
  readonly section: string;
  readonly store: string;
  readonly error: string;
}

export const BEGIN = '<!-- figures: written by `npm run bench -- --write`; do not edit -->';
export const END = '<!-- end of figures -->';

/** The document with new figures between its markers. Throws when it has none. */
export function withFigures(document: string, figures: string): string {
  const [begin, end] = [document.indexOf(BEGIN), document.indexOf(END)];
  if (begin < 0 || end < begin) throw new Error('docs/performance.md has no markers');
  return `${document.slice(0, begin + BEGIN.length)}\n\n${figures}\n${document.slice(end)}`;
}

/** All tables, as Markdown. `goes`: the runs that the figures are from, oldest first; a later one replaced what it measured again. */
export function markdown(
  figures: readonly Figure[],
  failures: readonly Failure[],
  goes: readonly Circumstances[],
): string {
  const targets = judge(figures).map(({ target, limits, medians, verdict, found }) => [
    target.what,
    target.reference,
    limits,
    `${medians} ${target.unit}`,
    verdict === 'MISS' ? '**miss**' : verdict || 'not measured',
    [...new Set(found.flatMap((figure) => (figure === undefined ? [] : conditionsText(figure))))].join('; '),
  ]);
  const others = figures.map((figure) => [
    figure.name,
    `${number(figure.median)} ${figure.unit}`,
    figure.blocks.map(number).join(', '),
    figure.limit === null ? '' : `${limitText(figure.limit)}${holds(figure.median, figure.limit) ? '' : ' **miss**'}`,
    share(figure, figures),
    conditionsText(figure),
    figure.note ?? '',
  ]);
  return [
    goes.length === 1
      ? 'Taken in one go:'
      : 'Taken in several goes, each of which replaced the figures that it measured again:',
    '',
    ...goes.map(goText),
    '',
    '### Targets',
    '',
    table(['what', 'reference', 'target', 'measured', '', 'model · store · driver'], targets),
    '',
    '### All figures',
    '',
    table(
      ['what', 'median', 'blocks', 'limit', 'share of the machine’s limit', 'model · store · driver', 'note'],
      others,
    ),
    ...(failures.length === 0
      ? []
      : [
          '',
          '### Not measured',
          '',
          ...failures.map(({ section, store, error }) => `- ${section} on ${store}: ${cell(error)}`),
        ]),
    '',
  ].join('\n');
}

/** The same for a terminal: targets, then every figure on a line. */
export function terminalLines(figures: readonly Figure[], failures: readonly Failure[]): readonly string[] {
  const targets = judge(figures).map(
    ({ target, limits, medians, verdict }) =>
      `${target.what.slice(0, 84).padEnd(84)} ${target.reference.padStart(22)} ${limits.padStart(22)} ${medians.padStart(24)} ${target.unit.padEnd(10)} ${verdict}`,
  );
  const lines = figures.map((figure) => {
    const limit = figure.limit === null ? '' : limitText(figure.limit);
    const missed = figure.limit !== null && !holds(figure.median, figure.limit) ? 'MISS' : '';
    const floor = share(figure, figures);
    return `${figure.name.padEnd(72)} ${number(figure.median).padStart(10)} ${figure.unit.padEnd(10)} ${limit.padEnd(10)} ${missed.padEnd(5)}${floor.padStart(6)}  ${conditionsText(figure)}`;
  });
  const failed = failures.map(({ section, store, error }) => `NOT MEASURED: ${section} on ${store}: ${error}`);
  const head = `${'what'.padEnd(84)} ${'reference'.padStart(22)} ${'target'.padStart(22)} ${'median'.padStart(24)}`;
  return [...lines, '', head, ...targets, ...failed];
}

function goText({ date, commit, command, machine, versions, load, blocks }: Circumstances): string {
  return `- ${date} at ${commit} by \`${command}\` on ${machine}; ${versions}; load ${load.toFixed(2)} before the first section; medians of ${blocks} blocks unless a note says otherwise.`;
}

function share(figure: Figure, all: readonly Figure[]): string {
  const part = shareOfFloor(figure, all);
  return part === null ? '' : `${(100 * part).toFixed(part < 0.1 ? 1 : 0)} %`;
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.map(cell).join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('\n', ' ');
}
