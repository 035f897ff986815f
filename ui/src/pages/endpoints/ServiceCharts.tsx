// Requests, errors and latency of an endpoint over the chosen span.
import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { Problem } from "../../api/client.ts";
import { q } from "../../api/queries.ts";
import type { ServicePoint } from "../../api/types.ts";
import { Figure } from "../../charts/Figure.tsx";
import { withGaps } from "../../charts/series.ts";
import { SeriesChart, type Series } from "../../charts/SeriesChart.tsx";
import { count } from "../../format/number.ts";
import { Card } from "../../ui/Card.tsx";
import { QueryView } from "../../ui/QueryView.tsx";
import { Empty, Skeleton } from "../../ui/States.tsx";
import { useUrl } from "../../ui/useUrl.ts";

const SPANS: [minutes: number, label: string][] = [[60, "1 h"], [360, "6 h"], [1440, "24 h"], [10_080, "7 d"]];

function Charts({ points, name }: { points: ServicePoint[]; name: string }) {
  const { xs, requests, latency } = useMemo(() => {
    const { xs, columns } = withGaps(points.map((point) => point.at_us / 1e6), [
      points.map((point) => point.requests), points.map((point) => point.errors), points.map((point) => point.p50_ms), points.map((point) => point.p99_ms),
    ]);
    const line = (label: string, color: string, i: number, more: Partial<Series> = {}): Series => ({ label, color, values: columns[i] ?? [], ...more });
    return {
      xs,
      requests: [line("requests", "--series-1", 0), line("errors", "--alarm", 1)],
      latency: [line("p99", "--series-1", 3), line("p50", "--series-3", 2)],
    };
  }, [points]);
  const total = points.reduce((sum, point) => sum + point.requests, 0);
  const sheet = () => ({ head: ["time", "requests", "errors", "p50_ms", "p99_ms"], rows: points.map((point) => [new Date(point.at_us / 1000).toISOString(), point.requests, point.errors, point.p50_ms, point.p99_ms]) });
  return (
    <div className="grid-2">
      <Figure title="Requests and errors" note={`${count(total)} requests`} name={`${name}-requests`} sheet={sheet}><SeriesChart label="Requests and errors" xs={xs} series={requests} time zero sync={name} height={190} /></Figure>
      <Figure title="Latency" note="ms" name={`${name}-latency`} sheet={sheet}><SeriesChart label="Latency" xs={xs} series={latency} time zero unit="ms" sync={name} height={190} /></Figure>
    </div>
  );
}

export function ServiceCharts({ name }: { name: string }) {
  const [search, setSearch] = useUrl();
  const minutes = SPANS.find(([each]) => String(each) === search["span"])?.[0] ?? 60;
  const query = useQuery({ ...q.service(name, minutes), refetchInterval: 30_000 });
  if (query.error instanceof Problem && query.error.status === 404) return null;
  return (
    <div className="stack stack-s">
      <div className="segments" role="group" aria-label="Span">
        {SPANS.map(([each, label]) => <button key={each} type="button" aria-pressed={each === minutes} onClick={() => setSearch({ span: each === 60 ? undefined : String(each) })}>{label}</button>)}
      </div>
      <QueryView query={query} skeleton={<Skeleton height={220} />} empty={(data) => (data.items.length ? null : <Card><Empty title="No requests in this span">The first request draws the first point.</Empty></Card>)}>
        {(data) => <Charts points={data.items} name={name} />}
      </QueryView>
    </div>
  );
}
