// A chart for every metric of one or more runs; each is drawn only when it comes into view.
import { useState } from "react";
import type { Run } from "../../api/types.ts";
import { Card } from "../../ui/Card.tsx";
import { Empty } from "../../ui/States.tsx";
import { useUrl } from "../../ui/useUrl.ts";
import { MetricChart } from "./MetricChart.tsx";

export function MetricCharts({ runs }: { runs: Run[] }) {
  const [search, setSearch] = useUrl();
  const [text, setText] = useState("");
  const smooth = Number(search["smooth"] ?? 0);
  const byTime = search["x"] === "time";
  const log = search["log"] === "1";
  const keys = [...new Set(runs.flatMap((run) => Object.keys(run.metrics)))].sort();
  const shown = keys.filter((key) => key.toLowerCase().includes(text.toLowerCase()));
  if (keys.length === 0)
    return (
      <Card>
        <Empty title="No metric yet" code={'mlflow.log_metric("loss", 0.41, step=1)'}>
          Each metric that is logged gets a chart here while the run is going.
        </Empty>
      </Card>
    );
  return (
    <div className="stack">
      <div className="toolbar">
        {keys.length > 6 && (
          <input
            className="input"
            data-filter=""
            placeholder="Find a metric"
            aria-label="Find a metric"
            value={text}
            onChange={(event) => setText(event.target.value)}
          />
        )}
        <div className="segments" role="group" aria-label="Horizontal axis">
          <button type="button" aria-pressed={!byTime} onClick={() => setSearch({ x: undefined })}>
            Step
          </button>
          <button type="button" aria-pressed={byTime} onClick={() => setSearch({ x: "time" })}>
            Time
          </button>
        </div>
        <label className="toggle">
          <input type="checkbox" checked={log} onChange={() => setSearch({ log: log ? undefined : "1" })} />
          Log scale
        </label>
        <label className="toggle">
          Smoothing
          <input
            type="range"
            min={0}
            max={0.99}
            step={0.01}
            value={smooth}
            onChange={(event) => setSearch({ smooth: Number(event.target.value) > 0 ? event.target.value : undefined })}
          />
          <span className="num smooth-value">{smooth.toFixed(2)}</span>
        </label>
      </div>
      <div className="metric-grid">
        {shown.map((key) => (
          <MetricChart key={key} metric={key} runs={runs.filter((run) => run.metrics[key])} smooth={smooth} byTime={byTime} log={log} />
        ))}
      </div>
    </div>
  );
}
