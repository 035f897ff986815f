// Batch predictions, the newest first, with how far each is.
import { useInfiniteQuery } from "@tanstack/react-query";
import { flat, q } from "../../api/queries.ts";
import { useMay } from "../../api/useMay.ts";
import type { BatchPrediction } from "../../api/types.ts";
import { labelOf, paths } from "../../paths.ts";
import { State } from "../../ui/Badge.tsx";
import { Button } from "../../ui/Button.tsx";
import { Card } from "../../ui/Card.tsx";
import { More } from "../../ui/More.tsx";
import { Page } from "../../ui/Page.tsx";
import { QueryView } from "../../ui/QueryView.tsx";
import { Empty } from "../../ui/States.tsx";
import { Table, type Column } from "../../ui/Table.tsx";
import { Elapsed, Time } from "../../ui/Time.tsx";
import { useUrl } from "../../ui/useUrl.ts";
import { BatchDialog } from "./BatchDialog.tsx";
import { RowsBar } from "./RowsBar.tsx";

const outputOf = (row: BatchPrediction): string => (row.output_version === null ? row.output : `${row.output}@${row.output_version}`);

const COLUMNS: Column<BatchPrediction>[] = [
  { key: "id", head: "Prediction", cell: (row) => <code>{labelOf(`batch-prediction:${row.id}`)}</code> },
  { key: "state", head: "State", cell: (row) => <State of={row.state} />, sort: (row) => row.state },
  { key: "model", head: "Model", cell: (row) => `${row.model} v${row.model_version}`, sort: (row) => row.model },
  { key: "data", head: "Data", cell: (row) => `${row.data}@${row.data_version}`, sort: (row) => row.data },
  { key: "output", head: "Written to", cell: outputOf, sort: (row) => row.output, grow: true },
  { key: "rows", head: "Rows", cell: (row) => <RowsBar batch={row} />, sort: (row) => row.rows_done },
  { key: "took", head: "Took", num: true, cell: (row) => <Elapsed from={row.started_us} to={row.ended_us} /> },
  { key: "asked", head: "Asked for", num: true, cell: (row) => <Time us={row.created_us} />, sort: (row) => row.created_us },
];

const CODE = `trimtab predict --model models:/churn@champion --data data:customers
trimtab predict --model models:/churn@champion --data customers.parquet   # on your machine`;

export function BatchesPage() {
  const query = useInfiniteQuery(q.batches());
  const rows = flat(query.data);
  const mayWrite = useMay("write");
  const [search, setSearch] = useUrl();
  const start = mayWrite && (
    <Button kind="primary" icon="play" onClick={() => setSearch({ new: "1" }, { push: true })}>
      Predict a data version
    </Button>
  );
  return (
    <Page
      title="Batch predictions"
      meta="A model over a whole data version. The predictions are the next version of another dataset."
      actions={start}
    >
      <Card flush>
        <QueryView
          query={query}
          empty={() =>
            rows.length ? null : (
              <Empty title="No batch predictions yet" code={CODE}>
                Rows are read, predicted and written in bounded memory, and what is cut off goes on where it was.
              </Empty>
            )
          }
        >
          {() => (
            <Table
              label="Batch predictions"
              rows={rows}
              columns={COLUMNS}
              rowKey={(row) => row.id}
              href={(row) => paths.batch(row.id)}
              tone={(row) => (row.state === "failed" ? "row-alarm" : undefined)}
            />
          )}
        </QueryView>
        <More has={query.hasNextPage} busy={query.isFetchingNextPage} load={() => void query.fetchNextPage()} />
      </Card>
      {mayWrite && search["new"] && (
        <BatchDialog
          model={search["model"]}
          data={search["data"]}
          onClose={() => setSearch({ new: undefined, model: undefined, data: undefined })}
        />
      )}
    </Page>
  );
}
