// Where an estimate, its interval and its threshold stand on a scale of their own.

export interface Interval { value: number | null; low: number | null; high: number | null; threshold: number | null }
export interface Placed { value: number | null; low: number | null; high: number | null; threshold: number | null; min: number; max: number }

/** Positions in per cent of a scale that holds everything with a margin; null when there is nothing to place. */
export function placed({ value, low, high, threshold }: Interval): Placed | null {
  const all = [value, low, high, threshold].filter((each): each is number => each !== null && Number.isFinite(each));
  if (all.length === 0) return null;
  const lowest = Math.min(...all);
  const highest = Math.max(...all);
  const pad = (highest - lowest || Math.abs(highest) || 1) * 0.14;
  const min = lowest - pad;
  const max = highest + pad;
  const at = (each: number | null): number | null => (each === null || !Number.isFinite(each) ? null : ((each - min) / (max - min)) * 100);
  return { value: at(value), low: at(low), high: at(high), threshold: at(threshold), min, max };
}
