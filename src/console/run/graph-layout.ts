// Where the layers of a composition are drawn: one column per depth of their dependencies, in the order in which they are
// entered. Takes anything that looks like a list of layers, also one that no server would accept.

import type { LayerOutline } from '../list/rows.ts';

export interface GraphNode {
  readonly layer: LayerOutline;
  /** In the composition, from 1. */
  readonly position: number;
  readonly x: number;
  readonly y: number;
}

export interface GraphEdge {
  readonly key: string;
  /** The dependency is at the left. */
  readonly path: string;
  /** Dependency and dependent. */
  readonly from: string;
  readonly to: string;
}

export interface Graph {
  readonly nodes: readonly GraphNode[];
  readonly edges: readonly GraphEdge[];
  readonly width: number;
  readonly height: number;
  /** Layers that are not drawn. */
  readonly left: number;
}

export const NODE_WIDTH = 188;
export const NODE_HEIGHT = 62;
const GAP_X = 64;
const GAP_Y = 18;
const MARGIN = 8;
/** More than anybody looks at. */
const MAX_LAYERS = 120;

export function layoutGraph(all: readonly LayerOutline[]): Graph {
  const layers = all.slice(0, MAX_LAYERS);
  const byName = new Map(layers.map((layer, index) => [layer.name, index]));
  const targets = layers.map(({ deps }) =>
    Object.entries(deps ?? {}).flatMap(([key, name]) => {
      const index = byName.get(name);
      return index === undefined ? [] : [{ key, index }];
    }),
  );
  const columns = columnsOf(targets.map((list) => list.map(({ index }) => index)));
  const rows: number[] = [];
  const places = layers.map((layer, index): GraphNode => {
    const column = columns[index] ?? 0;
    const row = rows[column] ?? 0;
    rows[column] = row + 1;
    const x = MARGIN + column * (NODE_WIDTH + GAP_X);
    return { layer, position: index + 1, x, y: MARGIN + row * (NODE_HEIGHT + GAP_Y) };
  });
  const nodes = centred(places, columns, targets);
  const edges = targets.flatMap((list, index) =>
    list.flatMap(({ key, index: target }): GraphEdge[] => {
      const from = nodes[target];
      const to = nodes[index];
      return from === undefined || to === undefined || index === target
        ? []
        : [{ key: `${index} ${key}`, path: curve(from, to), from: from.layer.name, to: to.layer.name }];
    }),
  );
  return {
    nodes,
    edges,
    width: Math.max(0, ...nodes.map(({ x }) => x)) + NODE_WIDTH + MARGIN,
    height: Math.max(0, ...nodes.map(({ y }) => y)) + NODE_HEIGHT + MARGIN,
    left: all.length - layers.length,
  };
}

/** One more than the deepest dependency; a circle is cut where it is met again. */
function columnsOf(targets: readonly (readonly number[])[]): readonly number[] {
  const columns: (number | undefined)[] = [];
  const visiting = new Set<number>();
  const columnOf = (index: number): number => {
    const known = columns[index];
    if (known !== undefined) return known;
    if (visiting.has(index)) return 0;
    visiting.add(index);
    const column = Math.max(-1, ...(targets[index] ?? []).filter((target) => target !== index).map(columnOf)) + 1;
    visiting.delete(index);
    columns[index] = column;
    return column;
  };
  return targets.map((_, index) => columnOf(index));
}

/** Columns after the first are moved to the height of what they depend on, where there is room. */
function centred(
  nodes: readonly GraphNode[],
  columns: readonly number[],
  targets: readonly (readonly { readonly index: number }[])[],
): readonly GraphNode[] {
  const placed = [...nodes];
  const order = nodes.map((_, index) => index).sort((a, b) => (columns[a] ?? 0) - (columns[b] ?? 0) || a - b);
  const floor = new Map<number, number>();
  for (const index of order) {
    const node = placed[index];
    const column = columns[index] ?? 0;
    if (node === undefined || column === 0) continue;
    const heights = (targets[index] ?? []).map((target) => placed[target.index]?.y ?? MARGIN);
    const wished = heights.reduce((sum, y) => sum + y, 0) / Math.max(1, heights.length);
    const y = Math.max(wished, floor.get(column) ?? MARGIN);
    floor.set(column, y + NODE_HEIGHT + GAP_Y);
    placed[index] = { ...node, y };
  }
  return placed;
}

function curve(from: GraphNode, to: GraphNode): string {
  const x1 = from.x + NODE_WIDTH;
  const y1 = from.y + NODE_HEIGHT / 2;
  const x2 = to.x;
  const y2 = to.y + NODE_HEIGHT / 2;
  const bend = Math.max(28, (x2 - x1) / 2);
  return `M${x1} ${y1}C${x1 + bend} ${y1} ${x2 - bend} ${y2} ${x2} ${y2}`;
}
