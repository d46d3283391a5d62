// What the server says of itself beside the charts: figures, the runs under way, the health of its peers.

import { age, bytes, count, duration } from '../format.ts';
import { runHref } from '../route.ts';
import { Empty, Status, Text } from '../ui/parts.tsx';
import { brief } from '../visible.ts';
import type { ServerStatus } from './status.ts';

export function Facts({ status }: { readonly status: ServerStatus }) {
  const { version, store, wire, uptimeMs, rssBytes, activeRuns, limit, streams } = status;
  const facts: readonly (readonly [name: string, value: string])[] = [
    ['Active runs', activeRuns === null ? '' : count(activeRuns) + (limit === null ? '' : ` of ${count(limit)}`)],
    ['Streams', streams === null ? '' : count(streams)],
    ['Memory', rssBytes === null ? '' : bytes(rssBytes)],
    ['Uptime', uptimeMs === null ? '' : duration(uptimeMs)],
    ['Store', brief(store, 80)],
    ['Wire', brief(wire, 20)],
    ['Version', brief(version, 30)],
  ];
  return (
    <>
      {status.stopping && <p class="notice bad">The server is shutting down: it takes no runs any more.</p>}
      <dl class="facts tiles">
        {facts.map(([name, value]) =>
          value === '' ? null : (
            <div key={name}>
              <dt>{name}</dt>
              <dd class="text">{value}</dd>
            </div>
          ),
        )}
      </dl>
    </>
  );
}

export function ActiveRuns({ status }: { readonly status: ServerStatus }) {
  const { oldest, activeRuns } = status;
  const more = (activeRuns ?? oldest.length) - oldest.length;
  return (
    <section aria-label="Active runs">
      <h2>Active runs</h2>
      {oldest.length === 0 ? (
        <Empty title="Nothing is running." />
      ) : (
        <table class="compact">
          <thead>
            <tr>
              <th scope="col">Run, the oldest first</th>
              <th scope="col">Phase</th>
              <th scope="col" class="number">
                Age
              </th>
            </tr>
          </thead>
          <tbody>
            {oldest.map(({ runId, phase, phaseMs, ageMs, tenant, modelRequests, toolCalls }) => (
              <tr key={runId}>
                <td>
                  <a class="run-link" href={runHref(runId)}>
                    <Text text={brief(runId, 60)} class="id" />
                  </a>
                  <span class="row-more muted text">
                    {[
                      brief(tenant, 40),
                      modelRequests === null ? '' : `${count(modelRequests)} model`,
                      toolCalls === null ? '' : `${count(toolCalls)} tool calls`,
                    ]
                      .filter((text) => text !== '')
                      .join(' · ')}
                  </span>
                </td>
                <td>
                  <Status status={brief(phase, 20)} tone="live" />
                  <span class="row-more muted">{phaseMs === null ? '' : duration(phaseMs)}</span>
                </td>
                <td class="number">{ageMs === null ? '' : duration(ageMs)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      {more > 0 && <p class="muted">{count(more)} more</p>}
    </section>
  );
}

const PEER_WORDS: Readonly<Record<string, readonly [word: string, tone: string]>> = {
  ok: ['answers', 'ok'],
  failing: ['failing', 'bad'],
  unknown: ['not asked yet', 'muted'],
};

export function Peers({ status, now }: { readonly status: ServerStatus; readonly now: number }) {
  if (status.peers.length === 0) return null;
  return (
    <section aria-label="Peers">
      <h2>Peers</h2>
      <table class="compact">
        <thead>
          <tr>
            <th scope="col">Peer</th>
            <th scope="col">State</th>
            <th scope="col" class="number">
              Connections
            </th>
          </tr>
        </thead>
        <tbody>
          {status.peers.map(({ name, state, answeredAt, failure, connections }) => {
            const [word, tone] = PEER_WORDS[state] ?? [brief(state, 30), 'muted'];
            return (
              <tr key={name}>
                <td>
                  <Text text={brief(name, 60)} />
                </td>
                <td>
                  <Status status={word} tone={tone} />
                  {failure !== '' && <span class="row-error text">{brief(failure, 160)}</span>}
                  {answeredAt !== null && <span class="row-more muted">last answer {age(now - answeredAt)} ago</span>}
                </td>
                <td class="number">{connections}</td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </section>
  );
}
