// Places a directed acyclic graph in columns by longest path, ordered to cross few edges; pure, in abstract units.

export interface Edge {
  from: string;
  to: string;
}
export interface Spot {
  layer: number;
  row: number;
}
export interface Layered {
  spots: Map<string, Spot>;
  /** The places in the columns between, for an edge that skips columns. */
  via: (edge: Edge) => Spot[];
  layers: number;
  rows: number;
}

/** Layer of each node: one more than its deepest cause; edges that would close a cycle are left out. */
export function layersOf(ids: string[], edges: Edge[]): Map<string, number> {
  const into = new Map<string, string[]>(ids.map((id) => [id, []]));
  for (const { from, to } of edges) if (into.has(from) && from !== to) into.get(to)?.push(from);
  const done = new Map<string, number>();
  const open = new Set<string>();
  const visit = (id: string): number => {
    const known = done.get(id);
    if (known !== undefined) return known;
    if (open.has(id)) return -1;
    open.add(id);
    const layer = Math.max(-1, ...(into.get(id) ?? []).map(visit)) + 1;
    open.delete(id);
    done.set(id, layer);
    return layer;
  };
  for (const id of ids) visit(id);
  return done;
}

const mean = (values: number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;
const between = (edge: Edge, layer: number): string => `${edge.from}\n${edge.to}\n${layer}`;

/** Columns of nodes; an edge that skips columns holds a place in each; sweeps of the barycentre rule order the columns. */
export function layered(ids: string[], edges: Edge[]): Layered {
  const layerOf = layersOf(ids, edges);
  const columns: string[][] = [];
  for (const id of ids) (columns[layerOf.get(id) ?? 0] ??= []).push(id);
  const links: Edge[] = [];
  for (const edge of edges) {
    const first = layerOf.get(edge.from);
    const last = layerOf.get(edge.to);
    if (first === undefined || last === undefined) continue;
    let at = edge.from;
    for (let layer = first + 1; layer < last; layer += 1) {
      const place = between(edge, layer);
      if (!layerOf.has(place)) (columns[layer] ??= []).push(place);
      layerOf.set(place, layer);
      links.push({ from: at, to: place });
      at = place;
    }
    links.push({ from: at, to: edge.to });
  }
  order(columns, links);
  const rows = Math.max(1, ...columns.map((column) => column.length));
  const spots = new Map<string, Spot>();
  columns.forEach((column, layer) => column.forEach((id, i) => spots.set(id, { layer, row: i + (rows - column.length) / 2 })));
  const via = (edge: Edge): Spot[] => {
    const first = layerOf.get(edge.from) ?? 0;
    const last = layerOf.get(edge.to) ?? 0;
    return Array.from({ length: Math.max(0, last - first - 1) }, (_, i) => spots.get(between(edge, first + 1 + i))).filter(
      (spot): spot is Spot => spot !== undefined,
    );
  };
  return { spots, via, layers: columns.length, rows };
}

function order(columns: string[][], links: Edge[]): void {
  const near = new Map<string, { before: string[]; after: string[] }>(columns.flat().map((id) => [id, { before: [], after: [] }]));
  for (const { from, to } of links) {
    near.get(to)?.before.push(from);
    near.get(from)?.after.push(to);
  }
  const position = new Map<string, number>();
  for (const column of columns) column.forEach((id, i) => position.set(id, i - (column.length - 1) / 2));
  for (let sweep = 0; sweep < 6; sweep += 1) {
    const side = sweep % 2 === 0 ? "before" : "after";
    for (const column of side === "before" ? columns : [...columns].reverse()) {
      const keyed = column.map((id, i) => {
        const found = near.get(id)?.[side].map((other) => position.get(other) ?? 0) ?? [];
        return { id, i, key: found.length ? mean(found) : (position.get(id) ?? 0) };
      });
      keyed.sort((a, b) => a.key - b.key || a.i - b.i);
      keyed.forEach(({ id }, i) => {
        column[i] = id;
        position.set(id, i - (column.length - 1) / 2);
      });
    }
  }
}

export interface Geometry {
  x: (layer: number) => number;
  y: (row: number) => number;
  boxWidth: number;
  boxHeight: number;
  width: number;
  height: number;
}

/** Pixels for a layered graph: boxes and gaps shrink to fit `room`, down to a least size; past that it scrolls. */
export function geometry(graph: Layered, room: number, box: { least: number; most: number; height: number }): Geometry {
  const pad = 20;
  const n = Math.max(1, graph.layers);
  const share = (room - 2 * pad) / n;
  const boxWidth = Math.max(box.least, Math.min(box.most, share * 0.76));
  const gap = Math.max(26, Math.min(64, n > 1 ? (room - 2 * pad - n * boxWidth) / (n - 1) : 0));
  const x = (layer: number): number => pad + layer * (boxWidth + gap);
  const y = (row: number): number => pad + row * (box.height + 16);
  return { x, y, boxWidth, boxHeight: box.height, width: x(n - 1) + boxWidth + pad, height: y(graph.rows - 1) + box.height + pad };
}

/** A smooth line along an edge: out of the right side of one box, through the places it holds, into the left of another. */
export function path(graph: Layered, at: Geometry, edge: Edge): string | null {
  const from = graph.spots.get(edge.from);
  const to = graph.spots.get(edge.to);
  if (!from || !to || from.layer >= to.layer) return null;
  const middle = (spot: Spot): number => at.y(spot.row) + at.boxHeight / 2;
  let d = `M${at.x(from.layer) + at.boxWidth} ${middle(from)}`;
  let x = at.x(from.layer) + at.boxWidth;
  let y = middle(from);
  for (const spot of [...graph.via(edge), to]) {
    const end = at.x(spot.layer);
    const bend = (end - x) / 2;
    d += `C${x + bend} ${y} ${end - bend} ${middle(spot)} ${end} ${middle(spot)}`;
    if (spot !== to) d += `H${end + at.boxWidth}`;
    x = end + at.boxWidth;
    y = middle(spot);
  }
  return d;
}
