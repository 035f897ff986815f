// Places a directed acyclic graph in columns by longest path, ordered to cross few edges; pure, in abstract units.

export interface Edge { from: string; to: string }
export interface Spot { id: string; layer: number; row: number }
export interface Layered { spots: Map<string, Spot>; layers: number; rows: number }

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

/** Columns of nodes; four sweeps of the barycentre rule put each node near its neighbours, then every column is centred. */
export function layered(ids: string[], edges: Edge[]): Layered {
  const layerOf = layersOf(ids, edges);
  const columns: string[][] = [];
  for (const id of ids) (columns[layerOf.get(id) ?? 0] ??= []).push(id);
  const near = new Map<string, { before: string[]; after: string[] }>(ids.map((id) => [id, { before: [], after: [] }]));
  for (const { from, to } of edges) {
    near.get(to)?.before.push(from);
    near.get(from)?.after.push(to);
  }
  const position = new Map<string, number>();
  const note = (): void => columns.forEach((column) => column.forEach((id, i) => position.set(id, i - (column.length - 1) / 2)));
  note();
  for (let sweep = 0; sweep < 4; sweep += 1) {
    const side = sweep % 2 === 0 ? "before" : "after";
    const order = side === "before" ? columns : [...columns].reverse();
    for (const column of order) {
      const weight = (id: string): number => {
        const found = near.get(id)?.[side].map((other) => position.get(other)).filter((at): at is number => at !== undefined) ?? [];
        return found.length ? mean(found) : position.get(id) ?? 0;
      };
      const keyed = column.map((id, i) => ({ id, key: weight(id), i }));
      keyed.sort((a, b) => a.key - b.key || a.i - b.i);
      keyed.forEach(({ id }, i) => { column[i] = id; position.set(id, i - (column.length - 1) / 2); });
    }
  }
  const rows = Math.max(1, ...columns.map((column) => column.length));
  const spots = new Map<string, Spot>();
  columns.forEach((column, layer) => column.forEach((id, i) => spots.set(id, { id, layer, row: i + (rows - column.length) / 2 })));
  return { spots, layers: columns.length, rows };
}

/** A smooth line from the right side of one box to the left side of another. */
export function curve(x0: number, y0: number, x1: number, y1: number): string {
  const bend = Math.max(18, (x1 - x0) / 2);
  return `M${x0} ${y0}C${x0 + bend} ${y0} ${x1 - bend} ${y1} ${x1} ${y1}`;
}
