// Every monitor: what it watches, against which reference, and its state.
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { q } from "../../api/queries.ts";
import { useMay } from "../../api/useMay.ts";
import type { Monitor } from "../../api/types.ts";
import { count } from "../../format/number.ts";
import { paths } from "../../paths.ts";
import { State } from "../../ui/Badge.tsx";
import { Button } from "../../ui/Button.tsx";
import { Card } from "../../ui/Card.tsx";
import { Page } from "../../ui/Page.tsx";
import { QueryView } from "../../ui/QueryView.tsx";
import { RefChip } from "../../ui/RefChip.tsx";
import { Empty } from "../../ui/States.tsx";
import { Table, type Column } from "../../ui/Table.tsx";
import { NewMonitorDialog } from "./MonitorDialog.tsx";

const COLUMNS: Column<Monitor>[] = [
  { key: "name", head: "Monitor", cell: (row) => row.name, sort: (row) => row.name },
  { key: "state", head: "State", cell: (row) => <State of={row.state} />, sort: (row) => row.state },
  { key: "endpoint", head: "Endpoint", cell: (row) => <RefChip of={`endpoint:${row.endpoint}`} /> },
  { key: "reference", head: "Reference", cell: (row) => <RefChip of={row.reference} /> },
  { key: "features", head: "Features", num: true, cell: (row) => count(row.features.length), sort: (row) => row.features.length },
  {
    key: "on",
    head: "Alarms on",
    grow: true,
    cell: (row) => <span className="dim">{Array.isArray(row.policy["alarm_on"]) ? row.policy["alarm_on"].join(", ") : ""}</span>,
  },
];

const CODE = `trimtab monitors create flights --endpoint flights --reference data:flights@1
# then send requests; windows close by themselves
trimtab monitors show flights`;

export function MonitorsPage() {
  const query = useQuery(q.monitors());
  const rows = query.data?.items ?? [];
  const mayWrite = useMay("write");
  const [adding, setAdding] = useState(false);
  return (
    <Page
      title="Monitors"
      meta="Drift, and performance with and without labels, at a known false-alarm rate."
      actions={
        mayWrite && (
          <Button kind="primary" icon="plus" onClick={() => setAdding(true)}>
            Watch an endpoint
          </Button>
        )
      }
    >
      <Card flush>
        <QueryView
          query={query}
          empty={() =>
            rows.length ? null : (
              <Empty title="Nothing is watched" code={CODE}>
                A monitor compares what an endpoint receives and answers with a reference, window by window, and rings when the difference
                is more than chance.
              </Empty>
            )
          }
        >
          {() => (
            <Table
              label="Monitors"
              rows={rows}
              columns={COLUMNS}
              rowKey={(row) => row.name}
              href={(row) => paths.monitor(row.name)}
              tone={(row) => (row.state === "alarm" ? "row-alarm" : undefined)}
            />
          )}
        </QueryView>
      </Card>
      {adding && <NewMonitorDialog onClose={() => setAdding(false)} />}
    </Page>
  );
}
