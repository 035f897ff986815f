// Every experiment.
import { useInfiniteQuery } from "@tanstack/react-query";
import { flat, q } from "../../api/queries.ts";
import type { Experiment } from "../../api/types.ts";
import { count } from "../../format/number.ts";
import { paths } from "../../paths.ts";
import { Card } from "../../ui/Card.tsx";
import { More } from "../../ui/More.tsx";
import { Page } from "../../ui/Page.tsx";
import { QueryView } from "../../ui/QueryView.tsx";
import { Empty } from "../../ui/States.tsx";
import { Table, type Column } from "../../ui/Table.tsx";
import { Time } from "../../ui/Time.tsx";
import { RUN_CODE } from "./code.ts";

const COLUMNS: Column<Experiment>[] = [
  { key: "name", head: "Experiment", cell: (row) => row.name, sort: (row) => row.name, grow: true },
  { key: "id", head: "Id", cell: (row) => <code>{row.id}</code>, sort: (row) => Number(row.id) },
  { key: "runs", head: "Runs", num: true, cell: (row) => count(row.runs), sort: (row) => row.runs },
  { key: "updated", head: "Changed", num: true, cell: (row) => <Time us={row.updated_us} />, sort: (row) => row.updated_us },
  { key: "created", head: "Created", num: true, cell: (row) => <Time us={row.created_us} />, sort: (row) => row.created_us },
];

export function ExperimentsPage() {
  const query = useInfiniteQuery(q.experiments());
  const rows = flat(query.data);
  return (
    <Page title="Experiments" meta="Runs with their parameters, metrics, artifacts and code.">
      <Card flush>
        <QueryView
          query={query}
          empty={() =>
            rows.length ? null : (
              <Empty title="No experiment yet" code={RUN_CODE}>
                An experiment collects runs of one question. Code that logs to MLflow fills it as it is.
              </Empty>
            )
          }
        >
          {() => (
            <Table
              label="Experiments"
              rows={rows}
              columns={COLUMNS}
              rowKey={(row) => row.id}
              href={(row) => paths.experiment(row.id)}
              initial="-updated"
            />
          )}
        </QueryView>
        <More has={query.hasNextPage} busy={query.isFetchingNextPage} load={() => void query.fetchNextPage()} />
      </Card>
    </Page>
  );
}
