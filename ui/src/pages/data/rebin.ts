// Two histograms with different edges on common ones, so that their shapes can be laid over each other.

export interface Bins {
  edges: number[];
  counts: number[];
}

/** Spreads the counts of `from` over `edges`, in proportion to the overlap of each bin; what lies outside is left out. */
export function rebin(from: Bins, edges: number[]): number[] {
  const counts = Array.from({ length: Math.max(0, edges.length - 1) }, () => 0);
  from.counts.forEach((count, i) => {
    const low = from.edges[i] as number;
    const high = from.edges[i + 1] as number;
    const width = high - low;
    for (let j = 0; j + 1 < edges.length; j += 1) {
      const a = edges[j] as number;
      const b = edges[j + 1] as number;
      const share = width > 0 ? Math.max(0, Math.min(high, b) - Math.max(low, a)) / width : low >= a && low < b ? 1 : 0;
      if (share > 0) counts[j] = (counts[j] as number) + count * share;
    }
  });
  return counts;
}

/** Equal edges over the range of both. */
export function commonEdges(a: Bins, b: Bins): number[] {
  const low = Math.min(a.edges[0] ?? 0, b.edges[0] ?? 0);
  const high = Math.max(a.edges.at(-1) ?? 1, b.edges.at(-1) ?? 1);
  const n = Math.max(a.counts.length, b.counts.length, 1);
  return Array.from({ length: n + 1 }, (_, i) => low + ((high - low) * i) / n);
}
