// One run: charts of its metrics, parameters and final values, artifacts, tags, and where it came from.
import { useQuery } from "@tanstack/react-query";
import { q } from "../../api/queries.ts";
import type { Run } from "../../api/types.ts";
import { figure, number } from "../../format/number.ts";
import { hrefOf, paths } from "../../paths.ts";
import { A } from "../../ui/A.tsx";
import { Card } from "../../ui/Card.tsx";
import { Copy } from "../../ui/Copy.tsx";
import { Facts } from "../../ui/Facts.tsx";
import { Page } from "../../ui/Page.tsx";
import { QueryView } from "../../ui/QueryView.tsx";
import { RefChip } from "../../ui/RefChip.tsx";
import { Badge, State } from "../../ui/Badge.tsx";
import { Table, type Column } from "../../ui/Table.tsx";
import { Tabs } from "../../ui/Tabs.tsx";
import { Elapsed, Time } from "../../ui/Time.tsx";
import { usePart } from "../../ui/useUrl.ts";
import { LineageChips } from "../lineage/LineageChips.tsx";
import { Artifacts } from "./Artifacts.tsx";
import "./experiments.css";
import { MetricCharts } from "./MetricCharts.tsx";

const METRIC_COLUMNS: Column<[string, Run["metrics"][string]]>[] = [
  { key: "key", head: "Metric", cell: ([key]) => key, sort: ([key]) => key, grow: true },
  { key: "value", head: "Last value", num: true, cell: ([, metric]) => figure(metric.value), sort: ([, metric]) => metric.value },
  { key: "step", head: "At step", num: true, cell: ([, metric]) => number(metric.step) },
];

function Values({ run }: { run: Run }) {
  const metrics = Object.entries(run.metrics);
  const tags = Object.entries(run.tags);
  const hidden = tags.filter(([key]) => key.startsWith("mlflow."));
  return (
    <div className="grid-2">
      <div className="stack">
        <Card title="Metrics" note={String(metrics.length)} flush>
          {metrics.length ? (
            <Table label="Metrics" rows={metrics} columns={METRIC_COLUMNS} rowKey={([key]) => key} param="metrics" />
          ) : (
            <p className="dim card-body">Nothing logged.</p>
          )}
        </Card>
        <Card title="Tags">
          <Facts items={tags.filter(([key]) => !key.startsWith("mlflow.")).map(([key, value]) => [key, value])} />
          {hidden.length > 0 && (
            <details className="dim">
              <summary>{hidden.length} of MLflow</summary>
              <Facts items={hidden.map(([key, value]) => [key, value])} />
            </details>
          )}
        </Card>
      </div>
      <div className="stack">
        <Card title="Parameters" note={String(Object.keys(run.params).length)}>
          <Facts items={Object.entries(run.params).map(([key, value]) => [key, <code key={key}>{value}</code>])} />
        </Card>
        <Card title="Source">
          <Facts items={Object.entries(run.source).map(([key, value]) => [key, <code key={key}>{value}</code>])} />
        </Card>
        {run.datasets.length > 0 && (
          <Card title="Data" note="that went in">
            <Facts
              items={run.datasets.map((data) => [
                data.context ?? "input",
                hrefOf(data.source) ? (
                  <RefChip key={data.digest} of={data.source} />
                ) : (
                  <span key={data.digest}>
                    {data.name} <code className="faint">{data.digest}</code>
                  </span>
                ),
              ])}
            />
          </Card>
        )}
      </div>
    </div>
  );
}

export function RunPage() {
  const id = usePart("id");
  const query = useQuery(q.run(id));
  const run = query.data;
  const experiment = useQuery({ ...q.experiment(run?.experiment_id ?? ""), enabled: Boolean(run) });
  return (
    <Page
      title={run?.name || id.slice(0, 8)}
      crumbs={[
        { label: "Experiments", href: "/experiments" },
        ...(run ? [{ label: experiment.data?.name ?? run.experiment_id, href: paths.experiment(run.experiment_id) }] : []),
      ]}
      state={
        run && (
          <>
            <State of={run.status} />
            {run.state === "deleted" && <Badge tone="quiet">in the trash</Badge>}
          </>
        )
      }
      meta={
        run && (
          <>
            <span className="row">
              <code className="break">{id}</code>
              <Copy text={id} label="Copy the run id" />
            </span>
            <span>by {run.owner || "nobody named"}</span>
            <span>
              started <Time us={run.started_us} />
            </span>
            <span>
              {run.ended_us ? "took" : "for"} <Elapsed from={run.started_us} to={run.ended_us} />
            </span>
            <A className="link" href={paths.lineage(`run:${id}`)}>
              lineage
            </A>
          </>
        )
      }
      chips={<LineageChips of={`run:${id}`} />}
    >
      <QueryView query={query}>
        {(data) => (
          <Tabs
            tabs={[
              { id: "charts", label: "Charts", count: Object.keys(data.metrics).length, body: () => <MetricCharts runs={[data]} /> },
              { id: "values", label: "Values", body: () => <Values run={data} /> },
              { id: "artifacts", label: "Artifacts", body: () => <Artifacts run={id} /> },
            ]}
          />
        )}
      </QueryView>
    </Page>
  );
}
