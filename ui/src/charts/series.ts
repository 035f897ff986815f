// Plain arithmetic behind the line charts: gaps for missing time, and joining series on one x.

/** Puts an empty sample wherever two neighbours are further apart than `factor` usual steps, so that a line breaks there. */
export function withGaps(xs: number[], columns: (number | null)[][], factor = 1.6): { xs: number[]; columns: (number | null)[][] } {
  if (xs.length < 3) return { xs, columns };
  const steps = xs
    .slice(1)
    .map((x, i) => x - (xs[i] as number))
    .sort((a, b) => a - b);
  const usual = steps[Math.floor(steps.length / 2)] as number;
  const outXs: number[] = [];
  const out: (number | null)[][] = columns.map(() => []);
  xs.forEach((x, i) => {
    const before = xs[i - 1];
    if (before !== undefined && usual > 0 && x - before > usual * factor) {
      outXs.push(before + usual);
      for (const column of out) column.push(null);
    }
    outXs.push(x);
    out.forEach((column, c) => column.push(columns[c]?.[i] ?? null));
  });
  return { xs: outXs, columns: out };
}

/** Lays curves with their own x values over one common x; `undefined` where a curve has no sample, null where it has a gap. */
export function joined(curves: { xs: number[]; ys: (number | null)[] }[]): { xs: number[]; columns: (number | null | undefined)[][] } {
  const xs = [...new Set(curves.flatMap((curve) => curve.xs))].sort((a, b) => a - b);
  const at = new Map(xs.map((x, i) => [x, i]));
  const columns = curves.map((curve) => {
    const column: (number | null | undefined)[] = Array.from({ length: xs.length });
    curve.xs.forEach((x, i) => {
      column[at.get(x) as number] = curve.ys[i];
    });
    return column;
  });
  return { xs, columns };
}

/** Exponential smoothing that keeps gaps, unbiased at the start; `weight` in 0..1, 0 leaves the series as it is. */
export function smoothed(ys: (number | null)[], weight: number): (number | null)[] {
  if (weight <= 0) return ys;
  let level = 0;
  let n = 0;
  return ys.map((y) => {
    if (y === null || !Number.isFinite(y)) return y;
    level = level * weight + (1 - weight) * y;
    n += 1;
    return level / (1 - weight ** n);
  });
}
