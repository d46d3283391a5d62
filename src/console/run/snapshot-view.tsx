// The session snapshot as a tree with sizes: what the run left behind, and what it began with.

import { useMemo } from 'preact/hooks';
import type { JsonValue, SessionSnapshot } from '../../client/types.ts';
import { bytes } from '../format.ts';
import { createSizes } from '../json.ts';
import { JsonTree } from '../ui/json-view.tsx';
import { CopyButton, Empty, Status, Text } from '../ui/parts.tsx';
import { brief } from '../visible.ts';

interface SnapshotViewProps {
  readonly before: SessionSnapshot | null;
  readonly after: SessionSnapshot | null;
  readonly status: string;
}

export function SnapshotView({ before, after, status }: SnapshotViewProps) {
  if (before === null && after === null) {
    return (
      <Empty
        title={status === 'running' ? 'The snapshot is written when the run is over.' : 'This run left no snapshot.'}
      >
        <p>A run that fails or is cancelled leaves none; the one that it began with is still good.</p>
      </Empty>
    );
  }
  return (
    <>
      {after !== null && <One title="After the run" snapshot={after} />}
      {before !== null && <One title="Before the run" snapshot={before} />}
    </>
  );
}

const STATE_TONES: Readonly<Record<string, string>> = { suspended: 'live', closed: 'muted', new: 'muted' };

function One({ title, snapshot }: { readonly title: string; readonly snapshot: SessionSnapshot }) {
  const sizes = useMemo(createSizes, [snapshot]);
  const whole = sizes(snapshot as unknown as JsonValue); // it was parsed from JSON
  return (
    <section class="snapshot">
      <header>
        <h3>{title}</h3>
        <span class="muted">{bytes(whole)}</span>
        <CopyButton text={() => JSON.stringify(snapshot)} label="Copy the snapshot as JSON" />
      </header>
      <div class="snapshot-layers">
        {snapshot.layers.map((layer, index) => (
          <div key={`${index} ${layer.name}`} class="snapshot-layer">
            <div class="snapshot-bar">
              <Text text={brief(layer.name, 60)} class="mono" />
              <Status status={layer.lifecycle_state} tone={STATE_TONES[layer.lifecycle_state] ?? ''} />
              <svg class="share" aria-hidden="true">
                <rect width={`${(sizes(layer.runtime_state) / whole) * 100}%`} height="6" />
              </svg>
            </div>
            <JsonTree name="runtime_state" value={layer.runtime_state} open={0} />
          </div>
        ))}
      </div>
    </section>
  );
}
