// The document as forms: its layers and the options of the run. While the text is no JSON they wait, for a change here would
// take the place of what is being typed there.

import { visible } from '../visible.ts';
import { at } from './document.ts';
import type { Draft } from './draft.ts';
import { LayerList } from './layer-list.tsx';
import type { Trouble } from './problems.tsx';
import { RequestOptions } from './request-options.tsx';

interface FormsProps {
  readonly draft: Draft;
  readonly troubles: readonly Trouble[];
  readonly onShow: (trouble: Trouble, where: 'form' | 'json') => void;
}

export function Forms({ draft, troubles, onShow }: FormsProps) {
  const [trouble] = troubles;
  const waits = draft.reading.value.root === null;
  const layers = at(draft.root.value, [...draft.base.value, 'layers']);
  if (layers !== undefined && layers.kind !== 'list') {
    return <p class="notice bad">The layers must be a list: put that right in the JSON.</p>;
  }
  return (
    <>
      {waits && trouble !== undefined && (
        <div class="waiting-note">
          <div class="notice bad">
            <p>
              The text is not JSON yet: line {trouble.place.line}, column {trouble.place.column}.{' '}
              {visible(trouble.message)}
            </p>
            <button type="button" class="link" onClick={() => onShow(trouble, 'json')}>
              Go there
            </button>
          </div>
        </div>
      )}
      <div class={waits ? 'waiting' : ''} inert={waits}>
        <LayerList draft={draft} />
        <RequestOptions draft={draft} />
      </div>
    </>
  );
}
