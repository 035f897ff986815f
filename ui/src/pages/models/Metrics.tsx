// A version's metrics: those that were estimated from rows with their intervals, and the plain ones of its run.
import { useQuery } from "@tanstack/react-query";
import { q } from "../../api/queries.ts";
import type { MetricEstimate, ModelVersion } from "../../api/types.ts";
import { IntervalRows, type Evidence } from "../../charts/IntervalRows.tsx";
import { count, number, percent } from "../../format/number.ts";
import { Card } from "../../ui/Card.tsx";
import { Facts } from "../../ui/Facts.tsx";

export const said = (one: MetricEstimate): string =>
  [one.low === null ? "" : `${percent(one.level)} interval`, one.method, one.rows === null ? "" : `${count(one.rows)} rows`]
    .filter(Boolean)
    .join(", ");

const evidence = (one: MetricEstimate): Evidence => ({
  key: `${one.key} ${one.data}`,
  name: one.key.replace(/_/g, " "),
  detail: [said(one), one.data.replace(/^data:/, "")].filter(Boolean).join(" of "),
  value: one.estimate,
  low: one.low,
  high: one.high,
  limits: [],
  tone: "open",
  verdict: null,
});

export function Metrics({ version }: { version: ModelVersion }) {
  const estimates = useQuery(q.estimates(version.name, String(version.version))).data?.items ?? [];
  const plain = Object.entries(version.metrics);
  return (
    <>
      {estimates.length > 0 && (
        <Card title="Metrics with intervals" flush>
          <IntervalRows label="Metrics with intervals" rows={estimates.map(evidence)} />
        </Card>
      )}
      {(plain.length > 0 || estimates.length === 0) && (
        <Card title="Metrics" note="of its run">
          {plain.length > 0 ? (
            <Facts items={plain.map(([key, value]) => [key, number(value)])} />
          ) : (
            <p className="dim">Its run logged no metrics, and none were recorded.</p>
          )}
        </Card>
      )}
    </>
  );
}
