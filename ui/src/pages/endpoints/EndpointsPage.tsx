// Every endpoint with its traffic split and how it does right now.
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { q } from "../../api/queries.ts";
import { useMay } from "../../api/useMay.ts";
import type { Endpoint } from "../../api/types.ts";
import { SplitBar } from "../../charts/SplitBar.tsx";
import { percent } from "../../format/number.ts";
import { paths } from "../../paths.ts";
import { State } from "../../ui/Badge.tsx";
import { Button } from "../../ui/Button.tsx";
import { Card } from "../../ui/Card.tsx";
import { Num } from "../../ui/Num.tsx";
import { Page } from "../../ui/Page.tsx";
import { QueryView } from "../../ui/QueryView.tsx";
import { Empty } from "../../ui/States.tsx";
import { Table, type Column } from "../../ui/Table.tsx";
import { Time } from "../../ui/Time.tsx";
import { DeployDialog } from "./DeployDialog.tsx";

export const errorShare = (endpoint: Endpoint): number | null =>
  endpoint.requests_1m > 0 ? endpoint.errors_1m / endpoint.requests_1m : null;

const COLUMNS: Column<Endpoint>[] = [
  { key: "name", head: "Endpoint", cell: (row) => row.name, sort: (row) => row.name },
  { key: "state", head: "State", cell: (row) => <State of={row.state} />, sort: (row) => row.state },
  {
    key: "traffic",
    head: "Traffic",
    grow: true,
    cell: (row) => (
      <span className="row">
        <SplitBar shares={row.versions} thin />
        <span className="dim">
          {row.versions
            .filter((each) => each.weight > 0)
            .map((each) => `v${each.version}`)
            .join(" · ")}
        </span>
      </span>
    ),
  },
  { key: "requests", head: "Requests, 1 min", num: true, cell: (row) => <Num value={row.requests_1m} />, sort: (row) => row.requests_1m },
  { key: "errors", head: "Errors", num: true, cell: (row) => percent(errorShare(row)), sort: errorShare },
  { key: "p50", head: "p50", num: true, cell: (row) => <Num value={row.p50_ms} unit="ms" />, sort: (row) => row.p50_ms },
  { key: "p99", head: "p99", num: true, cell: (row) => <Num value={row.p99_ms} unit="ms" />, sort: (row) => row.p99_ms },
  { key: "updated", head: "Changed", num: true, cell: (row) => <Time us={row.updated_us} />, sort: (row) => row.updated_us },
];

const CODE = `trimtab endpoints deploy flights models:/flights-delay@champion --wait
curl -s http://127.0.0.1:5001/v2/models/flights/ready`;

export function EndpointsPage() {
  const query = useQuery(q.endpoints());
  const rows = query.data?.items ?? [];
  const mayWrite = useMay("write");
  const [deploying, setDeploying] = useState(false);
  return (
    <Page
      title="Endpoints"
      meta="What answers requests, with which versions, and how fast."
      actions={
        mayWrite && (
          <Button kind="primary" icon="plus" onClick={() => setDeploying(true)}>
            Deploy a model
          </Button>
        )
      }
    >
      <Card flush>
        <QueryView
          query={query}
          empty={() =>
            rows.length ? null : (
              <Empty title="Nothing is deployed" code={CODE}>
                An endpoint answers requests with one or more versions of a model: a champion, a challenger on part of the traffic, a shadow
                that only listens. Deploy a registered version to make one.
              </Empty>
            )
          }
        >
          {() => (
            <Table
              label="Endpoints"
              rows={rows}
              columns={COLUMNS}
              rowKey={(row) => row.name}
              href={(row) => paths.endpoint(row.name)}
              tone={(row) => (row.state === "degraded" ? "row-alarm" : undefined)}
            />
          )}
        </QueryView>
      </Card>
      {deploying && <DeployDialog onClose={() => setDeploying(false)} />}
    </Page>
  );
}
