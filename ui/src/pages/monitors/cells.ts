// Names of a feature's cells: the bins between the reference's edges, or its values, and the missing ones last.
import type { FeatureDetail } from "../../api/types.ts";
import type { HistogramCell } from "../../charts/Histogram.tsx";
import { number } from "../../format/number.ts";

export function cells(feature: FeatureDetail): HistogramCell[] {
  const missing = { name: "missing", tick: "none" };
  if (feature.edges.length === 0)
    return [...feature.values.map((value) => ({ name: value, tick: value })), { name: "any other", tick: "other" }, missing];
  const edge = feature.edges.map((value) => number(value));
  return [
    ...edge.map((upper, i) => ({ name: i === 0 ? `up to ${upper}` : `${edge[i - 1]} to ${upper}`, tick: upper })),
    { name: `above ${edge.at(-1)}`, tick: "" },
    missing,
  ];
}
