// The screen that starts runs: a composition as forms and as JSON, side by side, with the same request for a terminal and for
// programs. What was started is remembered, so that its run can be resumed and repeated.

import '../styles/compose.css';
import { useSignal } from '@preact/signals';
import { useEffect, useMemo, useRef } from 'preact/hooks';
import { DifyAgentHTTPError } from '../../client/errors.ts';
import { problemOf } from '../api.ts';
import { useConsole } from '../context.ts';
import { useTitle } from '../hooks.ts';
import { runHref } from '../route.ts';
import { Tabs } from '../ui/parts.tsx';
import { brief } from '../visible.ts';
import { catalogue } from './catalogue.ts';
import { createDraft } from './draft.ts';
import { Editor, type Target } from './editor.tsx';
import { focusPath } from './focus.ts';
import { Forms } from './forms.tsx';
import { useNarrow } from './narrow.ts';
import { PresetBar } from './preset-bar.tsx';
import { KEYED_PRESETS, type Preset, SCRIPTED_PRESETS, SCRIPTED_TYPE } from './presets.ts';
import { marksOf, Problems, type Trouble, troublesOf } from './problems.tsx';
import { lacks, useServerTypes } from './server-types.ts';
import { SnippetPanel } from './snippet-panel.tsx';
import { LANGUAGES } from './snippets.ts';

type View = 'form' | 'json' | (typeof LANGUAGES)[number][0];

export function ComposeScreen() {
  const { api, started } = useConsole();
  useTitle('Compose');
  // What was written is there again when the screen is opened again, in memory like everything here.
  const draft = useMemo(() => started.draft.peek() ?? createDraft(catalogue(), firstOf(SCRIPTED_PRESETS)), []);
  const untouched = useMemo(() => (started.draft.peek() === null ? draft.text.peek() : null), []);
  const server = useServerTypes();
  const narrow = useNarrow();
  const view = useSignal<View>(narrow ? 'form' : 'json');
  const target = useSignal<Target | null>(null);
  const problem = useSignal('');
  const warned = useSignal('');
  const busy = useSignal(false);
  const alert = useRef<HTMLDivElement>(null);
  const screen = useRef<HTMLDivElement>(null);
  useEffect(() => {
    started.draft.value = draft;
  }, []);
  // Nobody has touched it yet: it should be something that this server can run.
  useEffect(() => {
    if (!lacks(server.value, SCRIPTED_TYPE) || draft.text.peek() !== untouched) return;
    draft.replace(firstOf(KEYED_PRESETS), '');
    draft.dismiss();
  }, [server.value]);

  const shownView: View = !narrow && view.value === 'form' ? 'json' : view.value;
  const troubles = troublesOf(draft);
  const errors = troubles.filter(({ level }) => level === 'error').length;
  const isSyntax = draft.reading.value.fault !== null;
  // Who was told what is wrong and wants to run all the same may: the server has the last word.
  const isWarned = warned.value === draft.text.value && !isSyntax;

  const run = async (): Promise<void> => {
    if (busy.value) return;
    draft.settle();
    if (errors > 0 && warned.value !== draft.text.value) {
      warned.value = draft.text.value;
      problem.value = '';
      requestAnimationFrame(() => alert.current?.focus());
      return;
    }
    const request = draft.request();
    if (request === null) return;
    problem.value = '';
    busy.value = true;
    try {
      const { run_id: runId } = await api.client.value.createRun(request);
      started.remember(runId, request);
      // Who has gone elsewhere in the meantime is not fetched from there.
      if (screen.current !== null) location.hash = runHref(runId);
    } catch (error) {
      const isPlaced = error instanceof DifyAgentHTTPError && error.statusCode === 422 && draft.refuse(error.detail);
      problem.value = isPlaced ? 'The server refuses this request.' : problemOf(error);
      requestAnimationFrame(() => alert.current?.focus());
    } finally {
      busy.value = false;
    }
  };
  useRunKey(run);
  const show = (trouble: Trouble, where: 'form' | 'json'): void => {
    if (where === 'form') {
      if (narrow) view.value = 'form';
      focusPath(trouble.path);
      return;
    }
    view.value = 'json';
    target.value = { start: trouble.start, end: trouble.end };
  };
  const undo = (): void => {
    const taken = draft.undo.value;
    taken?.restore();
    if (taken !== null) focusPath(taken.path);
  };
  const isTold = problem.value !== '' || (errors > 0 && warned.value === draft.text.value);
  const tabs = [
    ...(narrow ? [{ id: 'form', name: 'Form' }] : []),
    { id: 'json', name: 'JSON', ...(errors > 0 ? { note: String(errors) } : {}) },
    ...LANGUAGES.map(([id, name]) => ({ id, name })),
  ];

  return (
    // No form: Enter in a field is not meant to run anything.
    <div class="page composer" ref={screen}>
      <div class="page-head">
        <h1>Compose</h1>
        <button type="button" class="primary" disabled={busy.value} onClick={run}>
          {isWarned && errors > 0 ? 'Run anyway' : 'Run'}
        </button>
      </div>
      <PresetBar draft={draft} server={server.value} />
      {draft.undo.value !== null && (
        <p class="notice undo" role="status">
          {draft.undo.value.what}{' '}
          <button type="button" class="link" onClick={undo}>
            Undo
          </button>{' '}
          <button type="button" class="link" onClick={draft.dismiss}>
            Dismiss
          </button>
        </p>
      )}
      {isTold && (
        <div class="notice bad" role="alert" tabIndex={-1} ref={alert}>
          <p class="text">
            {problem.value !== ''
              ? brief(problem.value, 2000)
              : isSyntax
                ? 'This is not JSON yet.'
                : 'Something is wrong with this request. It can be run all the same; the server decides.'}
          </p>
          <Problems troubles={troubles} onShow={show} />
        </div>
      )}
      <div class="panes">
        {!narrow && (
          <section class="pane" aria-label="Form">
            <Forms draft={draft} troubles={troubles} onShow={show} />
          </section>
        )}
        <div class="pane compose">
          <Tabs
            label="The request as"
            tabs={tabs}
            selected={shownView}
            onSelect={(id) => {
              view.value = id as View; // the tabs above are views
            }}
          >
            {shownView === 'form' && <Forms draft={draft} troubles={troubles} onShow={show} />}
            {shownView === 'json' && (
              <>
                <Editor draft={draft} marks={marksOf(troubles)} target={target.value} />
                <div class="editor-foot">
                  <button type="button" class="link" disabled={isSyntax} onClick={draft.format}>
                    Format
                  </button>
                  <span class="muted small">Ctrl+Space suggests, Ctrl+Enter runs.</span>
                </div>
                {!isTold && <Problems troubles={troubles} onShow={show} />}
              </>
            )}
            {shownView !== 'form' && shownView !== 'json' && <SnippetPanel draft={draft} language={shownView} />}
          </Tabs>
        </div>
      </div>
    </div>
  );
}

function firstOf([preset]: readonly Preset[]): unknown {
  return { composition: preset?.composition ?? { layers: [] } };
}

/** Ctrl+Enter runs, wherever the keyboard is. */
function useRunKey(run: () => Promise<void>): void {
  const latest = useRef(run);
  latest.current = run;
  useEffect(() => {
    const listen = (event: KeyboardEvent): void => {
      const isAsked = event.key === 'Enter' && (event.ctrlKey || event.metaKey) && !event.repeat;
      if (!isAsked || event.defaultPrevented || document.querySelector('dialog[open]') !== null) return;
      event.preventDefault();
      void latest.current();
    };
    document.addEventListener('keydown', listen);
    return () => document.removeEventListener('keydown', listen);
  }, []);
}
