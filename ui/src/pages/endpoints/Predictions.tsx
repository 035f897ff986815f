// The newest answers of an endpoint, each a way into its lineage.
import { useQuery } from "@tanstack/react-query";
import { q } from "../../api/queries.ts";
import type { RecentPrediction } from "../../api/types.ts";
import { number } from "../../format/number.ts";
import { duration } from "../../format/time.ts";
import { paths } from "../../paths.ts";
import { State } from "../../ui/Badge.tsx";
import { Card } from "../../ui/Card.tsx";
import { QueryView } from "../../ui/QueryView.tsx";
import { Empty } from "../../ui/States.tsx";
import { Table, type Column } from "../../ui/Table.tsx";
import { Time } from "../../ui/Time.tsx";
import { routeMeaning, routeName } from "./route.ts";

const COLUMNS: Column<RecentPrediction>[] = [
  { key: "id", head: "Prediction", cell: (row) => <code>{row.id}</code>, grow: true },
  { key: "version", head: "Version", cell: (row) => `v${row.version}` },
  { key: "role", head: "Role", cell: (row) => <State of={row.role} /> },
  {
    key: "route",
    head: "Route",
    cell: (row) => <span title={routeMeaning(row)}>{routeName(row)}</span>,
    sort: routeName,
    title: "How the request came to this version. Only what was split is evidence in a rollout.",
  },
  { key: "score", head: "Score", num: true, cell: (row) => number(row.score), sort: (row) => row.score },
  { key: "took", head: "Took", num: true, cell: (row) => duration(row.latency_us), sort: (row) => row.latency_us },
  { key: "event", head: "Event time", num: true, cell: (row) => <Time us={row.event_us} /> },
  { key: "at", head: "Answered", num: true, cell: (row) => <Time us={row.at_us} />, sort: (row) => row.at_us },
];

export function Predictions({ endpoint }: { endpoint: string }) {
  const query = useQuery(q.predictions(endpoint));
  return (
    <Card flush>
      <QueryView
        query={query}
        empty={(data) =>
          data.items.length ? null : (
            <Empty title="No prediction yet">
              Each answered row is kept with its inputs and its version, a few seconds after the request.
            </Empty>
          )
        }
      >
        {(data) => (
          <Table
            label="Newest predictions"
            rows={data.items}
            columns={COLUMNS}
            rowKey={(row) => row.id}
            href={(row) => paths.prediction(row.id)}
            param="order"
          />
        )}
      </QueryView>
    </Card>
  );
}
