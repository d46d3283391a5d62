// Instead of the list, where the server keeps none: a run by its id, and the runs of this page.

import { useSignal } from '@preact/signals';
import { useConsole } from '../context.ts';
import { runHref } from '../route.ts';
import { Text } from '../ui/parts.tsx';

export function NoList() {
  const { started } = useConsole();
  const id = useSignal('');
  const open = (event: Event): void => {
    event.preventDefault();
    const runId = id.value.trim();
    if (runId !== '') location.hash = runHref(runId);
  };
  const own = started.runs.value.toReversed();
  return (
    <div class="no-list">
      <p class="notice">
        This server does not list runs: its index is off. With SQLite it is always on; with Redis set{' '}
        <code>DIFY_AGENT_RUN_INDEX_ENABLED=true</code>. A run opens by its id all the same.
      </p>
      <form class="open-by-id" onSubmit={open}>
        <label class="field">
          <span>Run id</span>
          <input
            type="search"
            spellcheck={false}
            autocomplete="off"
            value={id.value}
            onInput={(event) => {
              id.value = event.currentTarget.value;
            }}
          />
        </label>
        <button type="submit" class="primary">
          Open
        </button>
      </form>
      {own.length > 0 && (
        <>
          <h2>Started from this page</h2>
          <ul class="plain-list">
            {own.map(({ runId }) => (
              <li key={runId}>
                <a class="run-link" href={runHref(runId)}>
                  <Text text={runId} class="id" />
                </a>
              </li>
            ))}
          </ul>
        </>
      )}
    </div>
  );
}
