// One batch prediction: how far it is, what came out, and from what.
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { post, seg } from "../../api/client.ts";
import { q } from "../../api/queries.ts";
import { useMay } from "../../api/useMay.ts";
import type { BatchPrediction } from "../../api/types.ts";
import { count } from "../../format/number.ts";
import { duration } from "../../format/time.ts";
import { actorName } from "../../format/who.ts";
import { labelOf, paths } from "../../paths.ts";
import { A } from "../../ui/A.tsx";
import { State } from "../../ui/Badge.tsx";
import { Button } from "../../ui/Button.tsx";
import { Card } from "../../ui/Card.tsx";
import { Copy } from "../../ui/Copy.tsx";
import { Facts } from "../../ui/Facts.tsx";
import { Page } from "../../ui/Page.tsx";
import { QueryView } from "../../ui/QueryView.tsx";
import { RefChip } from "../../ui/RefChip.tsx";
import { Skeleton, Snippet } from "../../ui/States.tsx";
import { Stat } from "../../ui/Stat.tsx";
import { toast } from "../../ui/Toasts.tsx";
import { Elapsed, Time } from "../../ui/Time.tsx";
import { usePart } from "../../ui/useUrl.ts";
import { ColumnCard } from "../data/ColumnCard.tsx";
import "../data/data.css";
import { RowsBar } from "./RowsBar.tsx";

const goesOn = (batch: BatchPrediction): boolean => batch.state === "queued" || batch.state === "running";

function remaining(batch: BatchPrediction): string {
  if (batch.rows_total === null || batch.rows_per_s <= 0) return "–";
  return duration(((batch.rows_total - batch.rows_done) / batch.rows_per_s) * 1e6);
}

function Cancel({ batch }: { batch: BatchPrediction }) {
  const client = useQueryClient();
  const act = useMutation({
    mutationFn: () => post(`/batch-predictions/${seg(batch.id)}/cancel`),
    onSuccess: () => {
      toast("The batch prediction is cancelled");
      void client.invalidateQueries({ queryKey: ["batches"] });
    },
    onError: (error) => toast(error.message, true),
  });
  return (
    <Button kind="danger" busy={act.isPending} onClick={() => act.mutate()} title="What was predicted so far is not kept">
      Cancel
    </Button>
  );
}

function Written({ batch }: { batch: BatchPrediction }) {
  if (batch.output_version === null) return <p className="dim">Nothing yet: a version appears when every row is done.</p>;
  const output = `data:${batch.output}@${batch.output_version}`;
  return (
    <div className="stack stack-s">
      <span className="row row-wrap">
        <RefChip of={output} />
        {batch.refused_version !== null && (
          <RefChip of={`data:${batch.output}-refused@${batch.refused_version}`} label={`${count(batch.rows_refused)} refused rows`} />
        )}
      </span>
      <Snippet code={`trimtab data get ${batch.output}@${batch.output_version} ./${batch.output}/`} />
    </div>
  );
}

function Body({ batch }: { batch: BatchPrediction }) {
  const { options, summary } = batch;
  const rate = summary?.rows_per_s ?? batch.rows_per_s;
  return (
    <>
      {batch.error && (
        <div className="callout callout-alarm break" role="alert">
          <span>{batch.error}</span>
        </div>
      )}
      <Card>
        <div className="stack">
          <RowsBar batch={batch} wide />
          <div className="stats">
            <Stat label="Rows" value={count(batch.rows_done)} note={batch.rows_total !== null && `of ${count(batch.rows_total)}`} />
            <Stat label="Refused" value={count(batch.rows_refused)} {...(batch.rows_refused ? { tone: "alarm" as const } : {})} />
            <Stat label="Rows a second" value={rate > 0 ? count(Math.round(rate)) : "–"} />
            {goesOn(batch) ? (
              <Stat label="Left" value={remaining(batch)} />
            ) : (
              <Stat
                label="Took"
                value={summary ? duration(summary.seconds * 1e6) : <Elapsed from={batch.started_us} to={batch.ended_us} />}
                note={summary && summary.resumed > 0 && `${count(summary.resumed)} rows were done before`}
              />
            )}
          </div>
        </div>
      </Card>
      <div className="grid-2">
        <div className="stack">
          {summary?.distribution.map((column) => (
            <ColumnCard key={column.name} column={column} other={null} change={null} />
          ))}
          <Card title="Written">
            <Written batch={batch} />
          </Card>
        </div>
        <Card title="About">
          <Facts
            items={[
              ["Model", <RefChip key="m" of={`model:${batch.model}/${batch.model_version}`} />],
              ["Data", <RefChip key="d" of={`data:${batch.data}@${batch.data_version}`} />],
              batch.path && ["File", batch.path],
              ["Rows that cannot be predicted", options.on_error === "skip" ? "are left out and listed" : "end it"],
              ["Columns written", options.keep ? "all" : options.columns.join(", ") || "all but the model's inputs"],
              options.inputs.length > 0 && ["Inputs", options.inputs.join(", ")],
              options.native && ["Form", "the model itself, not what it was compiled to"],
              ["Rows at once", count(options.rows_at_once)],
              ["Processes", options.workers ? count(options.workers) : "one a processor"],
              batch.reason && ["Reason", batch.reason],
            ]}
          />
        </Card>
      </div>
    </>
  );
}

export function BatchPage() {
  const id = usePart("id");
  const query = useQuery({
    ...q.batch(id),
    refetchInterval: ({ state }) => (state.data && goesOn(state.data) ? 1000 : false),
  });
  const batch = query.data;
  const mayWrite = useMay("write");
  const name = labelOf(`batch-prediction:${id}`);
  return (
    <Page
      title={batch ? `${batch.model} on ${batch.data}` : name}
      crumbs={[{ label: "Batch", href: "/batch" }]}
      state={batch && <State of={batch.state} />}
      meta={
        batch && (
          <>
            <span className="row">
              <code>{id}</code>
              <Copy text={id} label="Copy the id" />
            </span>
            <span>asked for by {actorName(batch.created_by)}</span>
            <span>
              <Time us={batch.created_us} />
            </span>
          </>
        )
      }
      actions={
        batch &&
        mayWrite &&
        (goesOn(batch) ? (
          <Cancel batch={batch} />
        ) : (
          <A className="btn btn-plain" href={paths.newBatch({ model: `${batch.model}/${batch.model_version}`, data: batch.data })}>
            Predict again
          </A>
        ))
      }
    >
      <QueryView query={query} skeleton={<Skeleton height={260} />}>
        {(data) => <Body batch={data} />}
      </QueryView>
    </Page>
  );
}
