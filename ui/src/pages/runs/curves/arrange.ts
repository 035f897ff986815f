// Plain arithmetic behind the curves: x values, smoothing, and groups of curves as a mean with a band.
import { smoothed } from "../../../charts/series.ts";
import type { Curve } from "../../../api/types.ts";

export type XAxis = "step" | "time" | "relative";
export interface Line {
  id: string;
  label: string;
  color: string;
  dash?: number[];
  xs: number[];
  ys: (number | null)[];
  low?: (number | null)[];
  high?: (number | null)[];
  /** Unsmoothed, drawn faintly behind. */
  raw?: (number | null)[];
  runs?: number;
}

/** A curve's x values: its steps, seconds since the epoch, or seconds since its first point (`start_us` where given). */
export function xsOf(curve: Curve, axis: XAxis, startUs?: number): number[] {
  if (axis === "step") return curve.points.map(([step]) => step);
  if (axis === "time") return curve.points.map(([, at]) => at / 1e6);
  const start = startUs ?? curve.points[0]?.[1] ?? 0;
  return curve.points.map(([, at]) => (at - start) / 1e6);
}

/** The points in the order of their x, one for each x (the last one counts), as a canvas wants them. */
export function inOrder(xs: number[], ys: (number | null)[]): { xs: number[]; ys: (number | null)[] } {
  let sorted = true;
  for (let i = 1; i < xs.length && sorted; i += 1) sorted = (xs[i] as number) > (xs[i - 1] as number);
  if (sorted) return { xs, ys };
  const byX = new Map<number, number | null>();
  const order = xs.map((_, i) => i).sort((a, b) => (xs[a] as number) - (xs[b] as number) || a - b);
  for (const i of order) byX.set(xs[i] as number, ys[i] ?? null);
  return { xs: [...byX.keys()], ys: [...byX.values()] };
}

/** Linear between neighbours; null outside the curve and across a gap. */
export function valueAt(xs: number[], ys: (number | null)[], x: number): number | null {
  let low = 0;
  let high = xs.length - 1;
  if (high < 0 || x < (xs[0] as number) || x > (xs[high] as number)) return null;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((xs[middle] as number) < x) low = middle + 1;
    else high = middle;
  }
  const right = ys[low] ?? null;
  if ((xs[low] as number) === x || low === 0) return right;
  const left = ys[low - 1] ?? null;
  if (left === null || right === null) return null;
  const span = (xs[low] as number) - (xs[low - 1] as number);
  return left + ((right - left) * (x - (xs[low - 1] as number))) / span;
}

/** The mean of several curves over `points` places of their common span, with a band of one standard deviation or from least to greatest. */
export function meanBand(
  lines: Line[],
  band: "std" | "range",
  points = 200,
): { xs: number[]; ys: (number | null)[]; low: (number | null)[]; high: (number | null)[] } {
  const filled = lines.filter((line) => line.xs.length > 0);
  const start = Math.min(...filled.map((line) => line.xs[0] as number));
  const end = Math.max(...filled.map((line) => line.xs.at(-1) as number));
  if (!filled.length) return { xs: [], ys: [], low: [], high: [] };
  const own = [...new Set(filled.flatMap((line) => line.xs))].sort((a, b) => a - b);
  const xs = own.length <= points ? own : Array.from({ length: points }, (_, i) => start + ((end - start) * i) / (points - 1));
  const ys: (number | null)[] = [];
  const low: (number | null)[] = [];
  const high: (number | null)[] = [];
  for (const x of xs) {
    const values = filled.map((line) => valueAt(line.xs, line.ys, x)).filter((value): value is number => value !== null);
    if (!values.length) {
      ys.push(null);
      low.push(null);
      high.push(null);
      continue;
    }
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    const spread = Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length);
    ys.push(mean);
    low.push(band === "std" ? mean - spread : Math.min(...values));
    high.push(band === "std" ? mean + spread : Math.max(...values));
  }
  return { xs, ys, low, high };
}

/** Smooths a line and keeps what it was as `raw`. */
export function smooth(line: Line, weight: number): Line {
  if (weight <= 0) return line;
  return {
    ...line,
    ys: smoothed(line.ys, weight),
    raw: line.ys,
    ...(line.low ? { low: smoothed(line.low, weight) } : {}),
    ...(line.high ? { high: smoothed(line.high, weight) } : {}),
  };
}

/** Gathers lines by a key into one mean line for each; a key of one line stays as it is. */
export function gather(lines: Line[], keyOf: (line: Line) => string, colorOf: (index: number) => string, band: "std" | "range"): Line[] {
  const groups = new Map<string, Line[]>();
  for (const line of lines) groups.set(keyOf(line), [...(groups.get(keyOf(line)) ?? []), line]);
  return [...groups].map(([key, members], i) => ({
    id: `group ${key}`,
    label: key,
    color: colorOf(i),
    runs: members.length,
    ...(members.length === 1 && members[0] ? { xs: members[0].xs, ys: members[0].ys } : meanBand(members, band)),
  }));
}
