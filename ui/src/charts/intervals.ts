// Where an estimate, its interval and its limits stand on a scale of their own.

export interface Interval {
  value: number | null;
  low: number | null;
  high: number | null;
  marks: number[];
}
export interface Placed {
  value: number | null;
  low: number | null;
  high: number | null;
  marks: number[];
}

/** Positions in per cent of a scale that holds everything with a margin; null when there is nothing to place. */
export function placed({ value, low, high, marks }: Interval): Placed | null {
  const all = [value, low, high, ...marks].filter((each): each is number => each !== null && Number.isFinite(each));
  if (all.length === 0) return null;
  const lowest = Math.min(...all);
  const highest = Math.max(...all);
  const pad = (highest - lowest || Math.abs(highest) || 1) * 0.14;
  const min = lowest - pad;
  const span = highest + pad - min;
  const at = (each: number): number => ((each - min) / span) * 100;
  const known = (each: number | null): number | null => (each === null || !Number.isFinite(each) ? null : at(each));
  return { value: known(value), low: known(low), high: known(high), marks: marks.map(at) };
}
