// Compositions to begin with, in two groups: those that run without keys, and those that need some. What the server is known
// to lack is not offered.

import { useSignal } from '@preact/signals';
import { useId } from 'preact/hooks';
import { brief, visible } from '../visible.ts';
import type { Draft } from './draft.ts';
import { KEYED_PRESETS, type Preset, SCRIPTED_PRESETS, SCRIPTED_SETTING, SCRIPTED_TYPE } from './presets.ts';
import { lacks, type ServerTypes } from './server-types.ts';

interface PresetBarProps {
  readonly draft: Draft;
  readonly server: ServerTypes;
}

export function PresetBar({ draft, server }: PresetBarProps) {
  const offered = (presets: readonly Preset[]): readonly Preset[] =>
    presets.filter(({ composition }) => composition.layers.every(({ type }) => !lacks(server, type)));
  const about = useSignal('');
  const begin = (preset: Preset): void => {
    draft.replace({ composition: preset.composition }, `Begun anew with “${preset.name}”.`);
    about.value = preset.about;
  };
  return (
    <section class="presets" aria-label="Presets">
      <Group name="Without keys" presets={offered(SCRIPTED_PRESETS)} onPick={begin} />
      <Group name="With keys" presets={offered(KEYED_PRESETS)} onPick={begin} />
      <p class="hint" role="status">
        {about.value}
      </p>
      <ScriptedNote draft={draft} server={server} />
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
  if (presets.length === 0) return null;
  return (
    <div class="preset-group">
      <span class="muted small" id={id}>
        {name}
      </span>
      <ul aria-labelledby={id}>
        {presets.map((preset) => (
          <li key={preset.id}>
            <button type="button" class="adder" title={preset.about} onFocus={reveal} onClick={() => onPick(preset)}>
              {preset.name}
            </button>
          </li>
        ))}
      </ul>
    </div>
  );
}

/** In a small window the presets are a row that scrolls; browsers leave what is half in sight where it is. */
function reveal({ currentTarget }: { readonly currentTarget: HTMLElement }): void {
  currentTarget.scrollIntoView({ block: 'nearest', inline: 'nearest' });
}

/** What the server needs for the scripted model, where that is not there or where nobody knows. */
function ScriptedNote({ draft, server }: PresetBarProps) {
  if (server.state === 'untold') {
    return (
      <p class="hint text">
        Which layer types this server has cannot be read ({visible(brief(server.reason, 300))}). Presets without keys
        use <code>{SCRIPTED_TYPE}</code>, which a server has with <code>{SCRIPTED_SETTING}</code>.
      </p>
    );
  }
  if (!lacks(server, SCRIPTED_TYPE)) return null;
  const setting = <code>{SCRIPTED_SETTING}</code>;
  return draft.text.value.includes(SCRIPTED_TYPE) ? (
    <p class="notice bad" role="status">
      This server has no <code>{SCRIPTED_TYPE}</code>: a run with it fails. Start the server with {setting}.
    </p>
  ) : (
    <p class="hint">
      The scripted model is off on this server, so presets without keys are not offered: they need {setting}.
    </p>
  );
}
