// Who put which version on which share of the traffic, and why.
import { useQuery } from "@tanstack/react-query";
import { q } from "../../api/queries.ts";
import type { TrafficChange } from "../../api/types.ts";
import { weight } from "../../format/number.ts";
import { actorName } from "../../format/who.ts";
import { Card } from "../../ui/Card.tsx";
import { QueryView } from "../../ui/QueryView.tsx";
import { Empty } from "../../ui/States.tsx";
import { Table, type Column } from "../../ui/Table.tsx";
import { Time } from "../../ui/Time.tsx";

/** "v3 95 %, v5 5 %" of a version-to-weight map. */
export const splitText = (weights: Record<string, number>): string =>
  Object.entries(weights)
    .filter(([, share]) => share > 0)
    .map(([version, share]) => `v${version} ${weight(share)}`)
    .join(", ") || "nothing";

const COLUMNS: Column<TrafficChange>[] = [
  { key: "at", head: "When", cell: (row) => <Time us={row.at_us} /> },
  { key: "actor", head: "Who", cell: (row) => actorName(row.actor) },
  { key: "action", head: "Act", cell: (row) => row.action },
  { key: "before", head: "Before", cell: (row) => <span className="dim">{splitText(row.before)}</span> },
  { key: "after", head: "After", cell: (row) => <b>{splitText(row.after)}</b> },
  { key: "reason", head: "Why", cell: (row) => row.reason || <span className="faint">no reason given</span>, grow: true },
];

export function TrafficHistory({ endpoint }: { endpoint: string }) {
  const query = useQuery(q.traffic(endpoint));
  return (
    <Card flush>
      <QueryView
        query={query}
        empty={(data) =>
          data.items.length ? null : (
            <Empty title="No change yet">
              Each deployment, traffic change, promotion and rollback stands here with who did it and why.
            </Empty>
          )
        }
      >
        {(data) => (
          <Table
            label="Traffic changes"
            rows={data.items}
            columns={COLUMNS}
            rowKey={(row) => `${row.at_us}-${row.action}`}
            tone={(row) => (row.action === "rollback" ? "row-alarm" : undefined)}
          />
        )}
      </QueryView>
    </Card>
  );
}
