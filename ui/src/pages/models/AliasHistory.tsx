// Where every alias has pointed: who moved it, when, why.
import { useQuery } from "@tanstack/react-query";
import { q } from "../../api/queries.ts";
import type { AliasChange } from "../../api/types.ts";
import { actorName } from "../../format/who.ts";
import { Card } from "../../ui/Card.tsx";
import { QueryView } from "../../ui/QueryView.tsx";
import { Empty } from "../../ui/States.tsx";
import { Table, type Column } from "../../ui/Table.tsx";
import { Time } from "../../ui/Time.tsx";
import { Alias } from "./Alias.tsx";

const version = (value: number | null): string => (value === null ? "nothing" : `v${value}`);

const COLUMNS: Column<AliasChange>[] = [
  { key: "at", head: "When", cell: (row) => <Time us={row.at_us} /> },
  { key: "alias", head: "Alias", cell: (row) => <Alias name={row.alias} /> },
  { key: "from", head: "From", cell: (row) => <span className="dim">{version(row.previous)}</span> },
  { key: "to", head: "To", cell: (row) => <b>{version(row.version)}</b> },
  { key: "actor", head: "Who", cell: (row) => actorName(row.actor) },
  { key: "reason", head: "Why", cell: (row) => row.reason || <span className="faint">no reason given</span>, grow: true },
];

export function AliasHistory({ name }: { name: string }) {
  const query = useQuery(q.aliasHistory(name));
  return (
    <Card flush>
      <QueryView
        query={query}
        empty={(data) =>
          data.items.length ? null : (
            <Empty title="No alias has been set" code={`MlflowClient().set_registered_model_alias("${name}", "champion", 1)`}>
              An alias such as champion names the version that deployments follow. Each move stays here.
            </Empty>
          )
        }
      >
        {(data) => <Table label="Alias history" rows={data.items} columns={COLUMNS} rowKey={(row) => `${row.at_us}-${row.alias}`} />}
      </QueryView>
    </Card>
  );
}
