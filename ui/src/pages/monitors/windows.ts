// What the monitor's charts need from its windows: lines with bands and gaps, alarms and version changes as markers.
import type { MonitorWindow } from "../../api/types.ts";
import type { Marker } from "../../charts/markers.ts";
import type { Series } from "../../charts/SeriesChart.tsx";
import { withGaps } from "../../charts/series.ts";

/** Metric names over all windows, in the order they first appear. */
export const metricNames = (windows: MonitorWindow[]): string[] => [
  ...new Set(windows.flatMap((window) => Object.keys(window.performance?.metrics ?? {}))),
];

/** The version that answered most of a window, or null when nothing is known. */
export function mainVersion(window: MonitorWindow): string | null {
  return Object.entries(window.version_counts).sort((a, b) => b[1] - a[1])[0]?.[0] ?? null;
}

export function versionChanges(windows: MonitorWindow[]): { index: number; version: string }[] {
  const changes: { index: number; version: string }[] = [];
  let before: string | null = null;
  windows.forEach((window, index) => {
    const now = mainVersion(window);
    if (now !== null && now !== before) changes.push({ index, version: now });
    before = now ?? before;
  });
  return changes;
}

const SETTLED_SHARE = 0.8;

/** The first of the newest windows whose labels are still coming in, so that their metrics may move. */
export function firstProvisional(windows: MonitorWindow[]): number {
  return windows.findLastIndex((window) => !window.provisional || window.labelled >= SETTLED_SHARE * window.rows) + 1;
}

export interface PerformanceLines {
  xs: number[];
  series: Series[];
  markers: Marker[];
  reference: number | null;
}

/** One metric over the windows' ends in seconds: settled values, then provisional ones dashed from the last settled value on; version changes as markers. */
export function performanceLines(windows: MonitorWindow[], metric: string): PerformanceLines {
  const at = windows.map((window) => window.end_us / 1e6);
  const band = (pick: "value" | "low" | "high") => windows.map((window) => window.performance?.metrics[metric]?.[pick] ?? null);
  const from = firstProvisional(windows);
  const provisional = windows.map((_, i) => i >= from);
  const settledOf = (column: (number | null)[]) => column.map((value, i) => (provisional[i] ? null : value));
  const openOf = (column: (number | null)[]) => column.map((value, i) => (provisional[i] || provisional[i + 1] ? value : null));
  const columns = [band("value"), band("low"), band("high")];
  const { xs, columns: spread } = withGaps(at, [...columns.map(settledOf), ...columns.map(openOf)]);
  const line = (from: number, label: string, dash: number[] = []): Series => ({
    label,
    color: "--champion",
    values: spread[from] ?? [],
    low: spread[from + 1] ?? [],
    high: spread[from + 2] ?? [],
    width: 1.8,
    ...(dash.length ? { dash } : {}),
  });
  const reference =
    windows
      .map((window) => window.performance?.metrics[metric]?.reference ?? null)
      .filter((value): value is number => value !== null)
      .at(-1) ?? null;
  const markers = versionChanges(windows).map(({ index, version }): Marker => ({
    x: at[index] as number,
    label: `v${version}`,
    kind: "version",
  }));
  const lines = [line(0, metric), line(3, "provisional", [4, 4])].filter((each) => each.values.some((value) => typeof value === "number"));
  return { xs, series: lines, markers, reference };
}

/** One slot per window, and empty ones (at = null) where windows are missing between two neighbours, at most 30 in a row. */
export function withMissing(windows: MonitorWindow[]): { startUs: number; at: number | null }[] {
  const slots: { startUs: number; at: number | null }[] = [];
  windows.forEach((window, at) => {
    const before = windows[at - 1];
    if (before) {
      const length = before.end_us - before.start_us;
      const missing = length > 0 ? Math.min(30, Math.round((window.start_us - before.end_us) / length)) : 0;
      for (let i = 0; i < missing; i += 1) slots.push({ startUs: before.end_us + i * length, at: null });
    }
    slots.push({ startUs: window.start_us, at });
  });
  return slots;
}
