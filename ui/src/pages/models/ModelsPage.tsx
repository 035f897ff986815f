// Every registered model with what its aliases point at.
import { useInfiniteQuery } from "@tanstack/react-query";
import { flat, q } from "../../api/queries.ts";
import type { Model } from "../../api/types.ts";
import { paths } from "../../paths.ts";
import { Card } from "../../ui/Card.tsx";
import { More } from "../../ui/More.tsx";
import { Page } from "../../ui/Page.tsx";
import { QueryView } from "../../ui/QueryView.tsx";
import { Empty } from "../../ui/States.tsx";
import { Table, type Column } from "../../ui/Table.tsx";
import { Time } from "../../ui/Time.tsx";
import { Alias } from "./Alias.tsx";

const COLUMNS: Column<Model>[] = [
  { key: "name", head: "Model", cell: (row) => row.name, sort: (row) => row.name },
  {
    key: "aliases",
    head: "Aliases",
    cell: (row) => (
      <span className="row">
        {Object.entries(row.aliases).map(([alias, version]) => (
          <Alias key={alias} name={alias} version={version} />
        ))}
      </span>
    ),
  },
  {
    key: "latest",
    head: "Latest",
    num: true,
    cell: (row) => (row.latest_version === null ? "–" : `v${row.latest_version}`),
    sort: (row) => row.latest_version,
  },
  { key: "description", head: "Description", cell: (row) => <span className="dim">{row.description}</span>, grow: true },
  { key: "updated", head: "Changed", num: true, cell: (row) => <Time us={row.updated_us} />, sort: (row) => row.updated_us },
];

const CODE = `import mlflow
mlflow.set_tracking_uri("${location.origin}")
mlflow.xgboost.log_model(model, name="model", registered_model_name="flights-delay")`;

export function ModelsPage() {
  const query = useInfiniteQuery(q.models());
  const rows = flat(query.data);
  return (
    <Page title="Models" meta="Registered versions, which of them is champion, and on which evidence.">
      <Card flush>
        <QueryView
          query={query}
          empty={() =>
            rows.length ? null : (
              <Empty title="No model is registered" code={CODE}>
                A registered model is a name with numbered versions. Each keeps its run, its data, its signature, and the gate it passed.
              </Empty>
            )
          }
        >
          {() => (
            <Table
              label="Models"
              rows={rows}
              columns={COLUMNS}
              rowKey={(row) => row.name}
              href={(row) => paths.model(row.name)}
              initial="-updated"
            />
          )}
        </QueryView>
        <More has={query.hasNextPage} busy={query.isFetchingNextPage} load={() => void query.fetchNextPage()} />
      </Card>
    </Page>
  );
}
