// Compositions to begin with, in two groups: those that run without keys, and those that need some.

import { useSignal } from '@preact/signals';
import { useEffect, useId } from 'preact/hooks';
import { useConsole } from '../context.ts';
import { runHref } from '../route.ts';
import type { Draft } from './draft.ts';
import { KEYED_PRESETS, type Preset, SCRIPTED_PRESETS, SCRIPTED_SETTING, SCRIPTED_TYPE } from './presets.ts';

export function PresetBar({ draft }: { readonly draft: Draft }) {
  const about = useSignal('');
  const begin = (preset: Preset): void => {
    draft.replace({ composition: preset.composition }, `Begun anew with “${preset.name}”.`);
    about.value = preset.about;
  };
  return (
    <section class="presets" aria-label="Presets">
      <Group name="Without keys" presets={SCRIPTED_PRESETS} onPick={begin} />
      <Group name="With keys" presets={KEYED_PRESETS} onPick={begin} />
      <p class="hint" role="status">
        {about.value}
      </p>
      <ScriptedNote draft={draft} />
    </section>
  );
}

interface GroupProps {
  readonly name: string;
  readonly presets: readonly Preset[];
  readonly onPick: (preset: Preset) => void;
}

function Group({ name, presets, onPick }: GroupProps) {
  const id = useId();
  return (
    <div class="preset-group">
      <span class="muted small" id={id}>
        {name}
      </span>
      <ul aria-labelledby={id}>
        {presets.map((preset) => (
          <li key={preset.id}>
            <button type="button" class="adder" title={preset.about} onClick={() => onPick(preset)}>
              {preset.name}
            </button>
          </li>
        ))}
      </ul>
    </div>
  );
}

/** What the server needs for the scripted model; and that it has not got it, once a run has shown that. */
function ScriptedNote({ draft }: { readonly draft: Draft }) {
  const { api, started } = useConsole();
  const refused = useSignal<string | null>(null);
  const isUsed = draft.text.value.includes(SCRIPTED_TYPE);
  const last = started.runs.value.findLast(({ request }) =>
    request.composition.layers.some(({ type }) => type === SCRIPTED_TYPE),
  );
  useEffect(() => {
    if (last === undefined) return;
    const controller = new AbortController();
    const { signal } = controller;
    api.client.value.getRun(last.runId, { signal }).then(
      ({ status, error }) => {
        const isRefused = status === 'failed' && (error?.includes(`'${SCRIPTED_TYPE}' is not registered`) ?? false);
        if (!signal.aborted) refused.value = isRefused ? last.runId : null;
      },
      () => {}, // nothing is known then, as before
    );
    return () => controller.abort();
  }, [last?.runId]);
  if (!isUsed) return null;
  if (refused.value === null) {
    return (
      <p class="hint">
        Presets without keys use <code>{SCRIPTED_TYPE}</code>, which a server has with <code>{SCRIPTED_SETTING}</code>.
      </p>
    );
  }
  return (
    <p class="notice bad" role="status">
      This server has no <code>{SCRIPTED_TYPE}</code>: <a href={runHref(refused.value)}>the last run with it</a> failed.
      Start the server with <code>{SCRIPTED_SETTING}</code>.
    </p>
  );
}
