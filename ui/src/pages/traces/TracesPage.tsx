// Traces of one experiment or of all: newest first, filtered by the search grammar.
import { useInfiniteQuery } from "@tanstack/react-query";
import { useState } from "react";
import { flat, q } from "../../api/queries.ts";
import type { Experiment, Trace } from "../../api/types.ts";
import { count } from "../../format/number.ts";
import { duration } from "../../format/time.ts";
import { paths } from "../../paths.ts";
import { Badge } from "../../ui/Badge.tsx";
import { Button } from "../../ui/Button.tsx";
import { Card } from "../../ui/Card.tsx";
import { Grid, type GridColumn } from "../../ui/Grid.tsx";
import { Page } from "../../ui/Page.tsx";
import { QueryView } from "../../ui/QueryView.tsx";
import { Empty, Skeleton } from "../../ui/States.tsx";
import { Time } from "../../ui/Time.tsx";
import { useUrl } from "../../ui/useUrl.ts";
import { STATES, verdict } from "./said.ts";
import "./traces.css";

const CODE = `import mlflow

mlflow.set_tracking_uri("${location.origin}")

@mlflow.trace
def answer(question):
    ...`;

function columns(names: Map<string, string>): GridColumn<Trace>[] {
  return [
    { id: "name", head: "Trace", cell: (row) => row.name || <code>{row.id.slice(0, 14)}…</code>, width: 190 },
    {
      id: "state",
      head: "State",
      cell: (row) => {
        const state = STATES[row.state];
        return (
          <Badge tone={state.tone} {...(state.icon ? { icon: state.icon } : {})}>
            {state.text}
          </Badge>
        );
      },
      width: 100,
    },
    { id: "started", head: "Started", cell: (row) => <Time us={row.started_us} />, width: 110 },
    { id: "duration", head: "Took", num: true, cell: (row) => duration(row.duration_us), width: 90 },
    { id: "spans", head: "Spans", num: true, cell: (row) => count(row.spans), width: 70 },
    { id: "tokens", head: "Tokens", num: true, cell: (row) => count(row.tokens), width: 80 },
    { id: "request", head: "Request", cell: (row) => <span title={row.request ?? ""}>{row.request ?? "–"}</span>, width: 280 },
    { id: "response", head: "Response", cell: (row) => <span title={row.response ?? ""}>{row.response ?? "–"}</span>, width: 280 },
    {
      id: "assessments",
      head: "Assessments",
      cell: (row) =>
        row.assessments
          .filter((one) => one.valid)
          .map((one) => `${one.name}: ${verdict(one)}`)
          .join(", ") || "–",
      width: 220,
    },
    { id: "experiment", head: "Experiment", cell: (row) => names.get(row.experiment_id) ?? row.experiment_id, width: 150 },
  ];
}

function Search({ value, set, error }: { value: string; set: (text: string) => void; error: string | null }) {
  const [text, setText] = useState(value);
  return (
    <form
      className="trace-search"
      role="search"
      onSubmit={(event) => {
        event.preventDefault();
        set(text.trim());
      }}
    >
      <input
        className="input mono"
        type="search"
        aria-label="Filter of traces"
        aria-invalid={error ? true : false}
        aria-describedby="trace-filter-note"
        placeholder="status = 'ERROR' and span.type = 'TOOL' and feedback.good = 'yes'"
        value={text}
        onChange={(event) => setText(event.target.value)}
        spellCheck={false}
      />
      <Button type="submit" icon="search">
        Filter
      </Button>
      <div id="trace-filter-note" className={error ? "field-error" : "sr-only"}>
        {error ?? "Conditions joined by and, such as trace.text LIKE '%refund%'."}
      </div>
    </form>
  );
}

function List({ experiments }: { experiments: Experiment[] }) {
  const [search, setSearch] = useUrl();
  const chosen = search["experiment"] ?? "";
  const filter = search["filter"] ?? "";
  const ids = chosen ? [chosen] : experiments.map((one) => one.id);
  const query = useInfiniteQuery(q.traces({ experiment_id: ids, filter }));
  const rows = flat(query.data);
  const names = new Map(experiments.map((one) => [one.id, one.name]));
  return (
    <>
      <div className="toolbar">
        <select
          className="select trace-pick"
          aria-label="Experiment"
          value={chosen}
          onChange={(event) => setSearch({ experiment: event.target.value || undefined })}
        >
          <option value="">All experiments</option>
          {experiments.map((one) => (
            <option key={one.id} value={one.id}>
              {one.name}
            </option>
          ))}
        </select>
        <Search key={filter} value={filter} set={(text) => setSearch({ filter: text || undefined })} error={query.error?.message ?? null} />
      </div>
      {!(filter && query.error && !query.data) && (
        <QueryView
          query={query}
          skeleton={
            <Card>
              <Skeleton rows={12} />
            </Card>
          }
          empty={() =>
            rows.length ? null : (
              <Card>
                {filter ? (
                  <Empty title="No trace matches">Loosen the filter, or look at another experiment.</Empty>
                ) : (
                  <Empty title="No trace yet" code={CODE}>
                    A trace shows what an application did for one request, step by step. MLflow&apos;s client and every OpenTelemetry
                    exporter send them here.
                  </Empty>
                )}
              </Card>
            )
          }
        >
          {() => (
            <Grid
              label="Traces"
              rows={rows}
              columns={columns(names)}
              rowKey={(row) => row.id}
              href={(row) => paths.trace(row.id)}
              more={{ has: query.hasNextPage, busy: query.isFetchingNextPage, load: () => void query.fetchNextPage() }}
              foot={`${count(rows.length)} traces loaded`}
            />
          )}
        </QueryView>
      )}
    </>
  );
}

export function TracesPage() {
  const experiments = useInfiniteQuery(q.experiments());
  return (
    <Page title="Traces" meta="What applications did for each request, step by step." wide>
      <QueryView query={experiments}>{() => <List experiments={flat(experiments.data)} />}</QueryView>
    </Page>
  );
}
