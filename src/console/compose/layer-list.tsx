// The layers of the composition in order, and the types of layers that can be added.

import { useSignal } from '@preact/signals';
import { useId } from 'preact/hooks';
import { at, itemsOf, type Path } from './document.ts';
import { type Draft, keyOf } from './draft.ts';
import { Issues } from './field.tsx';
import { focusPath } from './focus.ts';
import { LayerCard } from './layer-card.tsx';
import { withLayer } from './layers.ts';

/** Cards that are built at once. */
const PAGE = 40;

export function LayerList({ draft }: { readonly draft: Draft }) {
  const shown = useSignal(PAGE);
  const path: Path = [...draft.base.value, 'layers'];
  const layers = itemsOf(at(draft.root.value, path));
  const issues = draft.issuesAt.value.get(keyOf(path)) ?? [];
  return (
    <section class="layers" data-path={keyOf(path)} aria-label="Layers">
      <ol class="layer-list">
        {layers.slice(0, shown.value).map((_, index) => (
          <LayerCard key={index} draft={draft} index={index} />
        ))}
      </ol>
      {layers.length > shown.value && (
        <button
          type="button"
          class="link"
          onClick={() => {
            shown.value += PAGE;
          }}
        >
          {layers.length - shown.value} more layers
        </button>
      )}
      <Issues messages={issues.map(({ message }) => message)} />
      <AddLayer draft={draft} path={path} />
    </section>
  );
}

function AddLayer({ draft, path }: { readonly draft: Draft; readonly path: Path }) {
  const open = useSignal(false);
  const id = useId();
  const add = (type: string): void => {
    const layers = withLayer(draft.known, at(draft.root.value, path), type);
    draft.edit(path, layers);
    open.value = false;
    focusPath([...path, itemsOf(layers).length - 1]);
  };
  return (
    <div class="add-layer">
      <button
        type="button"
        aria-expanded={open.value}
        aria-controls={id}
        onClick={() => {
          open.value = !open.value;
        }}
      >
        Add a layer
      </button>
      {open.value && (
        <ul id={id} class="types">
          {draft.known.layers.map(({ type, summary }) => (
            <li key={type}>
              <button type="button" onClick={() => add(type)}>
                <code>{type}</code>
                <span class="muted">{summary}</span>
              </button>
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}
