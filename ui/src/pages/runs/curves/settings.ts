// How curves are drawn, kept in the address: axis, logarithms, smoothing, grouping, metric search.
import { useMemo } from "react";
import { useUrl, type Search } from "../../../ui/useUrl.ts";
import type { XAxis } from "./arrange.ts";

export interface CurveSettings {
  axis: XAxis;
  logX: boolean;
  logY: boolean;
  smooth: number;
  group: string;
  band: "std" | "range";
}

export function useCurveSettings(): [CurveSettings, Search, (patch: Search) => void] {
  const [search, setSearch] = useUrl();
  const { x, logx, log, smooth, by, band } = search;
  const settings = useMemo<CurveSettings>(
    () => ({
      axis: x === "time" || x === "relative" ? x : "step",
      logX: logx === "1",
      logY: log === "1",
      smooth: Math.min(0.99, Math.max(0, Number(smooth ?? 0) || 0)),
      group: by ?? "",
      band: band === "range" ? "range" : "std",
    }),
    [x, logx, log, smooth, by, band],
  );
  return [settings, search, setSearch];
}
