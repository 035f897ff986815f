// How many rows and labels stand behind each window.
import { useMemo } from "react";
import type { MonitorWindow } from "../../api/types.ts";
import { Figure } from "../../charts/Figure.tsx";
import { withGaps } from "../../charts/series.ts";
import { SeriesChart } from "../../charts/SeriesChart.tsx";
import { count } from "../../format/number.ts";

export function Volume({ windows, name }: { windows: MonitorWindow[]; name: string }) {
  const { xs, series } = useMemo(() => {
    const { xs, columns } = withGaps(
      windows.map((window) => window.end_us / 1e6),
      [windows.map((window) => window.rows), windows.map((window) => window.labelled)],
    );
    return {
      xs,
      series: [
        { label: "rows", color: "--series-6", values: columns[0] ?? [] },
        { label: "labelled", color: "--series-3", values: columns[1] ?? [] },
      ],
    };
  }, [windows]);
  const total = windows.reduce((sum, window) => sum + window.rows, 0);
  return (
    <Figure
      title="Rows and labels per window"
      note={`${count(total)} rows`}
      name={`${name}-rows`}
      sheet={() => ({
        head: ["window end", "rows", "labelled"],
        rows: windows.map((window) => [new Date(window.end_us / 1000).toISOString(), window.rows, window.labelled]),
      })}
    >
      <SeriesChart label="Rows and labels per window" xs={xs} series={series} time zero height={180} />
    </Figure>
  );
}
