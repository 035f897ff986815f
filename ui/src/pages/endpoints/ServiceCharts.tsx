// Requests, errors and latency of an endpoint, live, for as long as the page has been open.
import { useMemo } from "react";
import { Figure } from "../../charts/Figure.tsx";
import { withGaps } from "../../charts/series.ts";
import { SeriesChart, type Series } from "../../charts/SeriesChart.tsx";
import { relative } from "../../format/time.ts";
import { Card } from "../../ui/Card.tsx";
import { useSamples } from "./samples.ts";

const GAP_FACTOR = 3;

export function ServiceCharts({ name }: { name: string }) {
  const samples = useSamples(name);
  const { xs, requests, latency } = useMemo(() => {
    const { xs, columns } = withGaps(
      samples.map((sample) => sample.atUs / 1e6),
      [
        samples.map((sample) => sample.requests),
        samples.map((sample) => sample.errors),
        samples.map((sample) => sample.p50_ms),
        samples.map((sample) => sample.p99_ms),
      ],
      GAP_FACTOR,
    );
    const line = (label: string, color: string, i: number): Series => ({ label, color, values: columns[i] ?? [] });
    return {
      xs,
      requests: [line("requests", "--series-1", 0), line("errors", "--alarm", 1)],
      latency: [line("p99", "--series-1", 3), line("p50", "--series-3", 2)],
    };
  }, [samples]);
  const first = samples[0];
  if (!first || samples.length < 3)
    return (
      <Card title="Live" note="requests, errors and latency, drawn from the next seconds on">
        <p className="dim">Collecting the first samples. Leave the page open and the lines grow.</p>
      </Card>
    );
  const since = `since ${relative(first.atUs, Date.now())}, ${samples.length} samples of the last minute`;
  const sheet = () => ({
    head: ["time", "requests_1m", "errors_1m", "p50_ms", "p99_ms"],
    rows: samples.map((sample) => [
      new Date(sample.atUs / 1000).toISOString(),
      sample.requests,
      sample.errors,
      sample.p50_ms,
      sample.p99_ms,
    ]),
  });
  return (
    <div className="grid-2">
      <Figure title="Requests and errors a minute" note={since} name={`${name}-requests`} sheet={sheet}>
        <SeriesChart label="Requests and errors a minute" xs={xs} series={requests} time zero sync={name} height={190} />
      </Figure>
      <Figure title="Latency" note="ms" name={`${name}-latency`} sheet={sheet}>
        <SeriesChart label="Latency" xs={xs} series={latency} time zero unit="ms" sync={name} height={190} />
      </Figure>
    </div>
  );
}
