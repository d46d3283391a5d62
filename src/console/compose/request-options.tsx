// What a request has beside its composition: how the run exits, its keys, and the session that it goes on with, whose
// snapshot can be taken from a run that is over.

import { useSignal } from '@preact/signals';
import { useEffect, useId } from 'preact/hooks';
import { isTerminal, type SessionSnapshot } from '../../client/types.ts';
import { problemOf } from '../api.ts';
import { useConsole } from '../context.ts';
import { brief } from '../visible.ts';
import { get, membersOf } from './document.ts';
import type { Draft } from './draft.ts';
import { Field } from './field.tsx';
import { focusPath } from './focus.ts';
import { beginning } from './layers.ts';
import { nodeOf } from './reader.ts';

/** How long the search for a snapshot may take, ms. */
const DEADLINE_MS = 15_000;

export function RequestOptions({ draft }: { readonly draft: Draft }) {
  const { request } = draft.known;
  const root = draft.isRequest.value ? draft.root.value : undefined;
  const present = membersOf(root).flatMap(({ key }) => (key === 'composition' ? [] : [key]));
  const properties = request.properties ?? {};
  const absent = Object.keys(properties).filter((key) => key !== 'composition' && !present.includes(key));
  const open = useSignal(false);
  // What is there is shown, also when it comes with another text.
  useEffect(() => {
    if (present.length > 0) open.value = true;
  }, [present.length > 0]);
  return (
    <details
      class="options"
      open={open.value}
      onToggle={(event) => {
        open.value = event.currentTarget.open;
      }}
    >
      <summary>
        <h2>Run options</h2>
        {present.length > 0 && <span class="count">{present.length}</span>}
      </summary>
      {present.map((key) => (
        <Field
          key={key}
          draft={draft}
          schema={Object.hasOwn(properties, key) ? (properties[key] ?? {}) : {}}
          path={[key]}
          name={key}
          full={key}
          onRemove={() => draft.remove([key], `Removed “${brief(key, 60)}”.`)}
        />
      ))}
      {get(root, 'idempotency_key')?.kind === 'text' && (
        <p class="hint">
          The same key with the same request gives the run that it has started before. For another run take another key.
        </p>
      )}
      <div class="adders">
        {absent.map((key) => (
          <button
            key={key}
            type="button"
            class="adder"
            aria-label={`Add ${key} to the request`}
            onClick={() => {
              draft.editRequest([key], beginning(properties[key] ?? {}));
              focusPath([key]);
            }}
          >
            + {key}
          </button>
        ))}
      </div>
      <TakeSnapshot draft={draft} />
    </details>
  );
}

/** Goes on with the session of another run. */
function TakeSnapshot({ draft }: { readonly draft: Draft }) {
  const { api, started } = useConsole();
  const id = useId();
  const runId = useSignal(started.runs.value.at(-1)?.runId ?? '');
  const busy = useSignal(false);
  const said = useSignal('');
  const take = async (): Promise<void> => {
    busy.value = true;
    said.value = '';
    try {
      const snapshot = await snapshotOf(runId.value.trim());
      if (snapshot === null) {
        said.value = 'This run has left no snapshot.';
        return;
      }
      draft.editRequest(['session_snapshot'], nodeOf(snapshot));
      said.value = 'Taken.';
    } catch (error) {
      said.value = problemOf(error);
    } finally {
      busy.value = false;
    }
  };
  const snapshotOf = async (of: string): Promise<SessionSnapshot | null> => {
    const client = api.client.value;
    if ((await client.getRun(of)).status === 'running') throw new Error('This run is not over.');
    for await (const event of client.streamEvents(of, { deadlineMs: DEADLINE_MS })) {
      if (isTerminal(event)) return event.data.session_snapshot ?? null;
    }
    return null;
  };
  return (
    <div class="take">
      <label class="field-name" htmlFor={id}>
        Continue a session: take the snapshot of a run
      </label>
      <div class="add-row">
        <input
          id={id}
          type="text"
          class="mono"
          placeholder="id of a run that is over"
          autocomplete="off"
          spellcheck={false}
          list={`${id}-runs`}
          value={runId.value}
          onInput={(event) => {
            runId.value = event.currentTarget.value;
          }}
        />
        <datalist id={`${id}-runs`}>
          {started.runs.value.map((run) => (
            <option key={run.runId} value={run.runId} />
          ))}
        </datalist>
        <button type="button" onClick={take} disabled={busy.value || runId.value.trim() === ''}>
          Take
        </button>
      </div>
      <p class="hint text" role="status">
        {brief(said.value, 300)}
      </p>
    </div>
  );
}
