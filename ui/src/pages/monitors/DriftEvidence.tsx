// How much evidence against "nothing has drifted" the windows have gathered, and how much rings the alarm.
import { useMemo } from "react";
import type { MonitorWindow } from "../../api/types.ts";
import { Figure } from "../../charts/Figure.tsx";
import type { Marker } from "../../charts/markers.ts";
import { withGaps } from "../../charts/series.ts";
import { SeriesChart } from "../../charts/SeriesChart.tsx";
import { number } from "../../format/number.ts";

const LEAST_DRAWN = 0.1;

export function DriftEvidence({ windows, name, alarms }: { windows: MonitorWindow[]; name: string; alarms: Marker[] }) {
  const shown = useMemo(() => windows.filter((window) => typeof window.drift?.evidence === "number"), [windows]);
  const { xs, series } = useMemo(() => {
    const { xs, columns } = withGaps(
      shown.map((window) => window.end_us / 1e6),
      [
        shown.map((window) => Math.max(window.drift?.evidence ?? 0, LEAST_DRAWN)),
        shown.map((window) => window.drift?.evidence_needed ?? null),
      ],
    );
    return {
      xs,
      series: [
        { label: "evidence", color: "--series-1", values: columns[0] ?? [] },
        { label: "rings at", color: "--alarm", values: columns[1] ?? [], dash: [5, 4] },
      ],
    };
  }, [shown]);
  const needed = shown.at(-1)?.drift?.evidence_needed;
  if (shown.length === 0) return null;
  return (
    <Figure
      title="Evidence of drift"
      note={needed ? `a false alarm at most once in ${number(needed)} windows` : undefined}
      name={`${name}-evidence`}
      sheet={() => ({
        head: ["window end", "evidence", "needed"],
        rows: shown.map((window) => [
          new Date(window.end_us / 1000).toISOString(),
          window.drift?.evidence ?? null,
          window.drift?.evidence_needed ?? null,
        ]),
      })}
    >
      <SeriesChart label="Evidence of drift" xs={xs} series={series} time log markers={alarms} height={180} />
    </Figure>
  );
}
