// Every dataset with its newest version.
import { useInfiniteQuery } from "@tanstack/react-query";
import { flat, q } from "../../api/queries.ts";
import type { Dataset } from "../../api/types.ts";
import { bytes, count } from "../../format/number.ts";
import { paths } from "../../paths.ts";
import { State } from "../../ui/Badge.tsx";
import { Card } from "../../ui/Card.tsx";
import { More } from "../../ui/More.tsx";
import { Num } from "../../ui/Num.tsx";
import { Page } from "../../ui/Page.tsx";
import { QueryView } from "../../ui/QueryView.tsx";
import { Empty } from "../../ui/States.tsx";
import { Table, type Column } from "../../ui/Table.tsx";
import { Time } from "../../ui/Time.tsx";

const COLUMNS: Column<Dataset>[] = [
  { key: "name", head: "Dataset", cell: (row) => row.name, sort: (row) => row.name, grow: true },
  { key: "latest", head: "Newest version", num: true, cell: (row) => `v${row.latest_version}` },
  { key: "state", head: "Validation", cell: (row) => <State of={row.validation_state} />, sort: (row) => row.validation_state },
  { key: "versions", head: "Versions", num: true, cell: (row) => count(row.versions), sort: (row) => row.versions },
  { key: "rows", head: "Rows", num: true, cell: (row) => <Num value={row.rows} />, sort: (row) => row.rows },
  { key: "size", head: "Size", num: true, cell: (row) => bytes(row.size_bytes), sort: (row) => row.size_bytes },
  { key: "updated", head: "Changed", num: true, cell: (row) => <Time us={row.updated_us} />, sort: (row) => row.updated_us },
];

const CODE = `trimtab data add flights ./flights/        # a file or a folder
trimtab data add flights ./flights/        # again after it changed: a new version
trimtab data get flights@1 ./back-then/`;

export function DatasetsPage() {
  const query = useInfiniteQuery(q.datasets());
  const rows = flat(query.data);
  return (
    <Page title="Data" meta="Datasets by content: every version stays, equal parts are kept once.">
      <Card flush>
        <QueryView
          query={query}
          empty={() =>
            rows.length ? null : (
              <Empty title="No dataset yet" code={CODE}>
                A dataset is a name with versions. Each is profiled and checked against expectations as it comes in, and can be got back to
                the byte.
              </Empty>
            )
          }
        >
          {() => (
            <Table
              label="Datasets"
              rows={rows}
              columns={COLUMNS}
              rowKey={(row) => row.name}
              href={(row) => paths.dataset(row.name)}
              initial="-updated"
            />
          )}
        </QueryView>
        <More has={query.hasNextPage} busy={query.isFetchingNextPage} load={() => void query.fetchNextPage()} />
      </Card>
    </Page>
  );
}
