// The list of runs as a table; on narrow screens the style sheet makes a card of each row.

import { age, count, duration } from '../format.ts';
import { lengthOf, type RunRow } from '../list/rows.ts';
import { runHref } from '../route.ts';
import { Status, Text } from '../ui/parts.tsx';
import { brief, visible } from '../visible.ts';

interface RunTableProps {
  readonly rows: readonly RunRow[];
  /** ms since the epoch. */
  readonly now: number;
}

export function RunTable({ rows, now }: RunTableProps) {
  // Some wires do not tell them.
  const tokens = rows.some(({ totalTokens }) => totalTokens !== null);
  return (
    <table class="runs">
      <caption class="unseen">Runs, the newest first. j and k walk through them.</caption>
      <thead>
        <tr>
          <th scope="col" class="cell-status">
            Status
          </th>
          <th scope="col" class="cell-run">
            Run
          </th>
          <th scope="col" class="cell-tenant">
            Tenant
          </th>
          <th scope="col" class="cell-layers">
            Layers
          </th>
          {tokens && (
            <th scope="col" class="cell-tokens number">
              Tokens
            </th>
          )}
          <th scope="col" class="cell-duration number">
            Duration
          </th>
          <th scope="col" class="cell-age number">
            Age
          </th>
        </tr>
      </thead>
      <tbody>
        {rows.map((row) => (
          <Row key={row.runId} row={row} now={now} tokens={tokens} />
        ))}
      </tbody>
    </table>
  );
}

interface RowProps {
  readonly row: RunRow;
  readonly now: number;
  /** There is a column for them. */
  readonly tokens: boolean;
}

function Row({ row, now, tokens }: RowProps) {
  const length = lengthOf(row, now);
  const error = row.error === '' ? row.reason : row.error;
  return (
    <tr>
      <td class="cell-status">
        <Status status={row.status} />
      </td>
      <td class="cell-run">
        <a class="run-link" href={runHref(row.runId)}>
          <Text text={row.runId} class="id" />
        </a>
        {error !== '' && <span class="row-error text">{brief(error, 140)}</span>}
      </td>
      <td class="cell-tenant">
        {row.tenant === '' ? <span class="muted">–</span> : <Text text={brief(row.tenant, 40)} />}
      </td>
      <td class="cell-layers muted text">{brief(row.layers.map(({ name }) => name).join(' · '), 70)}</td>
      {tokens && <td class="cell-tokens number">{row.totalTokens === null ? '' : count(row.totalTokens)}</td>}
      <td class="cell-duration number">{length === null ? '' : duration(length)}</td>
      <td class="cell-age number" title={row.createdAt === null ? '' : visible(new Date(row.createdAt).toISOString())}>
        {row.createdAt === null ? '' : age(now - row.createdAt)}
      </td>
    </tr>
  );
}
