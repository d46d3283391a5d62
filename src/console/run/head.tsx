// The head of a run: status, times, usage, what went wrong, and what can be done with it.

import { useSignal } from '@preact/signals';
import type { CreateRunRequest } from '../../client/types.ts';
import { problemOf } from '../api.ts';
import { catalogue } from '../compose/catalogue.ts';
import { createDraft } from '../compose/draft.ts';
import { useConsole } from '../context.ts';
import { count, duration, instant, timeOfDay } from '../format.ts';
import { useNow } from '../hooks.ts';
import { rawNumber } from '../json.ts';
import type { LayerOutline } from '../list/rows.ts';
import { Dialog } from '../ui/dialog.tsx';
import { CopyButton, LongText, Status, Text } from '../ui/parts.tsx';
import { brief } from '../visible.ts';
import type { Feed } from './feed.ts';

interface RunHeadProps {
  readonly feed: Feed;
  readonly runId: string;
  readonly tenant: string;
  /** Known when the run was started from this page. */
  readonly request: CreateRunRequest | null;
  readonly layers: readonly LayerOutline[];
  /** Layers that it has besides. */
  readonly missing: number;
}

export function RunHead({ feed, runId, tenant, request, layers, missing }: RunHeadProps) {
  const { started } = useConsole();
  const cancelling = useSignal(false);
  const record = feed.record.value;
  const timeline = feed.timeline.value;
  const state = feed.state.value;
  const status = timeline.status === 'running' ? (record?.status ?? 'running') : timeline.status;
  const running = status === 'running';
  const now = useNow(running ? 100 : 60_000, running);
  const createdAt = record === null ? null : instant(record.created_at);
  const endedAt = running ? now : record === null ? null : instant(record.updated_at);
  const error = timeline.error ?? record?.error ?? null;
  const again = (): void => {
    started.draft.value = createDraft(catalogue(), request ?? outlined(layers));
    location.hash = '#/compose';
  };
  return (
    <div class="run-head">
      <div class="run-title">
        <h1>
          <span class="unseen">Run </span>
          <Text text={runId} class="id" />
        </h1>
        <CopyButton text={() => runId} label="Copy the run id" />
        <Status
          status={timeline.question === undefined ? status : 'asks a person'}
          {...(timeline.question === undefined ? {} : { tone: 'warn' })}
        />
        <div class="run-actions">
          {running && state !== 'loading' && (
            <button
              type="button"
              onClick={() => {
                cancelling.value = true;
              }}
            >
              Cancel run
            </button>
          )}
          <button
            type="button"
            onClick={again}
            disabled={request === null && (layers.length === 0 || missing > 0)}
            {...(missing > 0 ? { title: `${missing} layers of the composition are not known here` } : {})}
          >
            Run again with changes
          </button>
        </div>
      </div>
      <dl class="facts">
        <Fact name="Duration">
          {createdAt === null || endedAt === null ? '–' : duration(Math.max(0, endedAt - createdAt))}
        </Fact>
        <Fact name="Created">{createdAt === null ? '–' : timeOfDay(createdAt)}</Fact>
        {tenant !== '' && (
          <Fact name="Tenant">
            <Text text={brief(tenant, 60)} />
          </Fact>
        )}
        <Fact name="Rounds">{count(timeline.rounds.length)}</Fact>
        <Fact name="Events">{count(timeline.events)}</Fact>
        {timeline.usage !== undefined && <Usage usage={timeline.usage} />}
      </dl>
      {state === 'broken' && (
        <p class="notice bad" role="alert">
          The connection is lost: {brief(feed.problem.value, 300)}.{' '}
          <button type="button" class="link" onClick={feed.start}>
            Connect again
          </button>
        </p>
      )}
      {!running && error !== null && error !== '' && (
        <div class={`notice ${status === 'failed' ? 'bad' : ''}`} role="alert">
          <strong>{status === 'failed' ? 'Failed' : 'Cancelled'}</strong>
          {timeline.reason !== undefined && <span class="chip text">{brief(timeline.reason, 80)}</span>}
          <div class="run-error">
            <LongText text={error} />
          </div>
        </div>
      )}
      {cancelling.value && running && (
        <CancelDialog
          runId={runId}
          onClose={() => {
            cancelling.value = false;
          }}
        />
      )}
    </div>
  );
}

function Fact({ name, children }: { readonly name: string; readonly children: preact.ComponentChildren }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

/** The members that are known, and how many others there are. */
function Usage({ usage }: { readonly usage: Readonly<Record<string, unknown>> }) {
  const named = [
    ['prompt_tokens', 'Tokens in'],
    ['completion_tokens', 'Tokens out'],
    ['total_price', 'Price'],
  ] as const;
  return (
    <>
      {named.map(([key, name]) => {
        const value = usage[key];
        if (typeof value === 'number')
          return (
            <Fact key={key} name={name}>
              {count(value)}
            </Fact>
          );
        const text = rawNumber(value) ?? (typeof value === 'string' ? value : null);
        return text === null ? null : (
          <Fact key={key} name={name}>
            <Text text={brief(text, 40)} />
          </Fact>
        );
      })}
    </>
  );
}

/** What is known of a run that was not started here: its layers without their configuration, some without their type. */
function outlined(layers: readonly LayerOutline[]): CreateRunRequest {
  return {
    composition: {
      schema_version: 1,
      layers: layers.map(({ name, type, deps }) => ({ name, type, ...(deps == null ? {} : { deps }), config: {} })),
    },
  };
}

function CancelDialog({ runId, onClose }: { readonly runId: string; readonly onClose: () => void }) {
  const { api } = useConsole();
  const message = useSignal('');
  const problem = useSignal('');
  const busy = useSignal(false);
  const cancel = async (event: Event): Promise<void> => {
    event.preventDefault();
    busy.value = true;
    problem.value = '';
    try {
      const text = message.value.trim();
      await api.client.value.cancelRun(runId, { reason: 'user_cancelled', ...(text === '' ? {} : { message: text }) });
      onClose();
    } catch (error) {
      problem.value = problemOf(error);
    } finally {
      busy.value = false;
    }
  };
  return (
    <Dialog title="Cancel this run?" onClose={onClose}>
      <form onSubmit={cancel}>
        <p class="muted">
          The model and its tools are stopped; layers are left in order. What has happened so far stays to be looked at.
        </p>
        <label class="field">
          <span>Message (optional)</span>
          <input
            type="text"
            maxLength={500}
            value={message.value}
            onInput={(event) => {
              message.value = event.currentTarget.value;
            }}
          />
        </label>
        {problem.value !== '' && (
          <p class="fault" role="alert">
            {brief(problem.value, 300)}
          </p>
        )}
        <div class="actions">
          <button type="button" onClick={onClose}>
            Keep running
          </button>
          <button type="submit" class="danger" disabled={busy.value}>
            Cancel run
          </button>
        </div>
      </form>
    </Dialog>
  );
}
