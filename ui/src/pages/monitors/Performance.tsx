// A metric over the windows with its interval, the reference, alarms and version changes.
import { useMemo } from "react";
import type { MonitorWindow } from "../../api/types.ts";
import type { Marker } from "../../charts/markers.ts";
import { Figure } from "../../charts/Figure.tsx";
import { SeriesChart } from "../../charts/SeriesChart.tsx";
import { count, number } from "../../format/number.ts";
import { Card } from "../../ui/Card.tsx";
import { Empty } from "../../ui/States.tsx";
import { useUrl } from "../../ui/useUrl.ts";
import { firstProvisional, mainVersion, metricNames, performanceLines } from "./windows.ts";

export function Performance({ windows, name, alarms }: { windows: MonitorWindow[]; name: string; alarms: Marker[] }) {
  const [search, setSearch] = useUrl();
  const metrics = metricNames(windows);
  const metric = metrics.find((each) => each === search["metric"]) ?? metrics[0] ?? "";
  const { xs, series, markers, reference } = useMemo(() => performanceLines(windows, metric), [windows, metric]);
  if (!metric)
    return (
      <Card title="Performance">
        <Empty
          title="No labels have come back yet"
          code={`curl -X POST …/endpoints/${name}/feedback -d '{"prediction_id": "…", "label": 1}'`}
        >
          Send what turned out to be true and the metrics of each window appear here, provisional until most labels are in.
        </Empty>
      </Card>
    );
  const labelled = windows.reduce((sum, window) => sum + window.labelled, 0);
  const from = firstProvisional(windows);
  const sheet = () => ({
    head: ["window end", "version", "rows", "labelled", "value", "low", "high", "reference", "provisional"],
    rows: windows.map((window, i) => {
      const band = window.performance?.metrics[metric];
      return [
        new Date(window.end_us / 1000).toISOString(),
        mainVersion(window) ?? "",
        window.rows,
        window.labelled,
        band?.value ?? null,
        band?.low ?? null,
        band?.high ?? null,
        band?.reference ?? null,
        i >= from ? "yes" : "no",
      ];
    }),
  });
  return (
    <Figure
      title="Performance"
      note={`${metric}, ${count(labelled)} labelled rows, 95 % intervals`}
      name={`${name}-${metric}`}
      sheet={sheet}
      actions={
        metrics.length > 1 && (
          <div className="segments" role="group" aria-label="Metric">
            {metrics.map((each) => (
              <button
                key={each}
                type="button"
                aria-pressed={each === metric}
                onClick={() => setSearch({ metric: each === metrics[0] ? undefined : each })}
              >
                {each}
              </button>
            ))}
          </div>
        )
      }
    >
      <SeriesChart
        label={`${metric} per window`}
        xs={xs}
        series={series}
        time
        markers={[...markers, ...alarms]}
        height={260}
        {...(reference === null ? {} : { reference: { value: reference, label: `reference ${number(reference)}` } })}
      />
    </Figure>
  );
}
