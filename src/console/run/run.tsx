// The screen of one run: its head, what happened in tabs, and the raw events beside them.

import { useComputed, useSignal } from '@preact/signals';
import { useEffect, useMemo } from 'preact/hooks';
import type { SessionSnapshot } from '../../client/types.ts';
import { useConsole } from '../context.ts';
import { useTitle } from '../hooks.ts';
import { NO_FILTER } from '../list/filters.ts';
import { type RunRow, readPage, withNames } from '../list/rows.ts';
import { Empty, type Tab, Tabs, Text } from '../ui/parts.tsx';
import { brief } from '../visible.ts';
import { conversationOf, messagesOf } from './conversation.ts';
import { ConversationView } from './conversation-view.tsx';
import { EventsPanel } from './events-panel.tsx';
import { createFeed, type Feed } from './feed.ts';
import { GraphView } from './graph-view.tsx';
import { RunHead } from './head.tsx';
import { QuestionPanel } from './question-panel.tsx';
import { SnapshotView } from './snapshot-view.tsx';
import { Steps } from './steps.tsx';
import { Waterfall } from './waterfall.tsx';

export function RunScreen({ runId }: { readonly runId: string }) {
  const { api } = useConsole();
  useTitle(`Run ${brief(runId, 40)}`);
  const feed = useMemo(() => createFeed(() => api.client.value, runId), [runId]);
  const token = api.token.value;
  useEffect(() => {
    feed.start();
    return () => feed.stop();
  }, [feed, token]);
  const state = feed.state.value;
  if (state === 'missing') {
    return (
      <Empty title="The server knows no such run.">
        <p>
          <Text text={brief(runId, 80)} class="id" /> never was, or has expired. <a href="#/runs">All runs</a>
        </p>
      </Empty>
    );
  }
  return (
    <div class="page run-page">
      <RunBody feed={feed} runId={runId} />
    </div>
  );
}

function RunBody({ feed, runId }: { readonly feed: Feed; readonly runId: string }) {
  const { started } = useConsole();
  const tab = useSignal('timeline');
  /** Cursor of the event that is looked at. */
  const chosen = useSignal<string | null>(null);
  const listed = useListed(runId, useComputed(() => feed.timeline.value.status).value);
  const request = started.requestOf(runId);
  const timeline = feed.timeline.value;
  const before = request?.session_snapshot ?? null;
  const after: SessionSnapshot | null = timeline.snapshot ?? null;
  const layers = useMemo(
    () => request?.composition.layers ?? withNames(listed?.layers ?? [], after),
    [request, listed, after],
  );
  const total = request === null && listed !== null ? listed.layers.length + listed.layersOmitted : 0;
  const missing = Math.max(0, total - layers.length);
  const messages = useMemo(() => messagesOf(after ?? before), [after, before]);
  const tabs: readonly Tab[] = [
    { id: 'timeline', name: 'Timeline' },
    { id: 'history', name: 'History', ...(messages === null ? {} : { note: String(messages.length) }) },
    { id: 'layers', name: 'Layers', ...(layers.length === 0 ? {} : { note: String(layers.length + missing) }) },
    { id: 'snapshot', name: 'Snapshot' },
  ];
  const choose = (cursor: string): void => {
    chosen.value = cursor;
  };
  return (
    <>
      <RunHead
        feed={feed}
        runId={runId}
        tenant={listed?.tenant ?? ''}
        request={request}
        layers={layers}
        missing={missing}
      />
      <div class="run-columns">
        <section class="run-main" aria-label="What happened">
          {timeline.question !== undefined && (
            <QuestionPanel key={runId} question={timeline.question} snapshot={after} request={request} />
          )}
          <Tabs
            label="Views of the run"
            tabs={tabs}
            selected={tab.value}
            onSelect={(id) => {
              tab.value = id;
            }}
          >
            {tab.value === 'timeline' && (
              <>
                <Waterfall timeline={timeline} onChoose={choose} />
                <Steps timeline={timeline} onChoose={choose} />
              </>
            )}
            {tab.value === 'history' && <History messages={messages} status={timeline.status} />}
            {tab.value === 'layers' && <GraphView layers={layers} missing={missing} before={before} after={after} />}
            {tab.value === 'snapshot' && <SnapshotView before={before} after={after} status={timeline.status} />}
          </Tabs>
        </section>
        <EventsPanel feed={feed} chosen={chosen} />
      </div>
    </>
  );
}

function History({
  messages,
  status,
}: Pick<Parameters<typeof ConversationView>[0], never> & {
  readonly messages: ReturnType<typeof messagesOf>;
  readonly status: string;
}) {
  const said = useMemo(() => (messages === null ? null : conversationOf(messages)), [messages]);
  if (said === null) {
    return (
      <Empty title={status === 'running' ? 'The history is known when the run is over.' : 'No history was kept.'}>
        <p>
          It is in the snapshot of a layer <code>pydantic_ai.history</code> named <code>history</code>.
        </p>
      </Empty>
    );
  }
  return <ConversationView said={said} />;
}

/** What the list of runs knows of this one beside its record; null: there is no list, or it does not say. */
function useListed(runId: string, status: string): RunRow | null {
  const { api } = useConsole();
  const row = useSignal<RunRow | null>(null);
  useEffect(() => {
    if (api.lists.value === false) return;
    const controller = new AbortController();
    const look = async (): Promise<void> => {
      try {
        const { rows } = readPage(await api.list({ ...NO_FILTER, search: runId, limit: 1 }, controller.signal));
        row.value = rows.find((found) => found.runId === runId) ?? row.value;
      } catch {
        // There is no list, or it does not answer: the rest of the page does without.
      }
    };
    void look();
    return () => controller.abort();
  }, [runId, status]);
  return row.value;
}
