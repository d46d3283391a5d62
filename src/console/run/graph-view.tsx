// The layers of the composition as a picture, with their states before and after the run.

import { useMemo } from 'preact/hooks';
import type { SessionSnapshot } from '../../client/types.ts';
import { bytes } from '../format.ts';
import { createSizes } from '../json.ts';
import type { LayerOutline } from '../list/rows.ts';
import { Empty } from '../ui/parts.tsx';
import { brief, visible } from '../visible.ts';
import { type GraphNode, layoutGraph, NODE_HEIGHT, NODE_WIDTH } from './graph-layout.ts';

interface GraphViewProps {
  readonly layers: readonly LayerOutline[];
  /** Layers of the composition of which nothing is known. */
  readonly missing: number;
  readonly before: SessionSnapshot | null;
  readonly after: SessionSnapshot | null;
}

export function GraphView({ layers, missing, before, after }: GraphViewProps) {
  const graph = useMemo(() => layoutGraph(layers), [layers]);
  const untyped = layers.filter(({ type }) => type === '').length;
  const sizes = useMemo(createSizes, []);
  if (graph.nodes.length === 0) {
    return (
      <Empty title="The composition of this run is not known.">
        <p>It is known for runs of this page, and where the server lists runs.</p>
      </Empty>
    );
  }
  const { width, height } = graph;
  return (
    <div class="graph">
      <p class="muted">
        Layers are entered in the order of their numbers. Lines lead from a layer to those that depend on it.
        {before === null && ' Nothing was resumed, as far as this page knows: every layer began new.'}
        {untyped > 0 && ` Of ${untyped} layers only the names are known, from the snapshot.`}
        {missing > 0 && ` The list of runs leaves out ${missing} more.`}
      </p>
      <div class="graph-scroll">
        <svg
          class="graph-picture"
          width={width}
          height={height}
          viewBox={`0 0 ${width} ${height}`}
          role="img"
          aria-label={`Layers of the composition: ${layers.map(({ name }) => brief(name, 40)).join(', ')}`}
        >
          <defs>
            <marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">
              <path class="graph-arrow" d="M1 1l6 3-6 3z" />
            </marker>
          </defs>
          {graph.edges.map(({ key, path, from, to }) => (
            <path key={key} class="graph-edge" d={path} marker-end="url(#arrow)">
              <title>
                {brief(to, 60)} depends on {brief(from, 60)}
              </title>
            </path>
          ))}
          {graph.nodes.map((node) => (
            <LayerNode
              key={node.position}
              node={node}
              before={stateOf(before, node.layer.name) ?? (before === null ? 'new' : '–')}
              after={stateOf(after, node.layer.name) ?? (after === null ? '' : '–')}
              size={sizeIn(after ?? before, node.layer.name, sizes)}
            />
          ))}
        </svg>
      </div>
      {graph.left > 0 && <p class="muted">{graph.left} more layers are not drawn.</p>}
    </div>
  );
}

interface LayerNodeProps {
  readonly node: GraphNode;
  readonly before: string;
  /** Empty: not known yet. */
  readonly after: string;
  readonly size: string;
}

function LayerNode({ node, before, after, size }: LayerNodeProps) {
  const { layer, position, x, y } = node;
  const states = after === '' ? before : `${before} → ${after}`;
  return (
    <g class="graph-node" transform={`translate(${x} ${y})`}>
      <rect width={NODE_WIDTH} height={NODE_HEIGHT} rx="6" />
      <text class="graph-name" x="12" y="20">
        {brief(layer.name, 20 - String(position).length)}
      </text>
      <text class="graph-position" x={NODE_WIDTH - 10} y="20" text-anchor="end">
        {position}
      </text>
      <text class="graph-type" x="12" y="36">
        {brief(layer.type, 27)}
      </text>
      <text class={`graph-state ${visible(after)}`} x="12" y="52">
        {states}
      </text>
      <text class="graph-size" x={NODE_WIDTH - 10} y="52" text-anchor="end">
        {size}
      </text>
    </g>
  );
}

function stateOf(snapshot: SessionSnapshot | null, name: string): string | undefined {
  return snapshot?.layers.find((layer) => layer.name === name)?.lifecycle_state;
}

function sizeIn(snapshot: SessionSnapshot | null, name: string, sizes: ReturnType<typeof createSizes>): string {
  const layer = snapshot?.layers.find((candidate) => candidate.name === name);
  return layer === undefined ? '' : bytes(sizes(layer.runtime_state));
}
