// Pipelines and their runs; choosing one narrows the runs.
import { useInfiniteQuery } from "@tanstack/react-query";
import { flat, q } from "../../api/queries.ts";
import type { PipelineRun } from "../../api/types.ts";
import { labelOf, paths } from "../../paths.ts";
import { Card } from "../../ui/Card.tsx";
import { More } from "../../ui/More.tsx";
import { Page } from "../../ui/Page.tsx";
import { QueryView } from "../../ui/QueryView.tsx";
import { State } from "../../ui/Badge.tsx";
import { Empty } from "../../ui/States.tsx";
import { Table, type Column } from "../../ui/Table.tsx";
import { Elapsed, Time } from "../../ui/Time.tsx";
import { useUrl } from "../../ui/useUrl.ts";
import "./pipelines.css";

/** The steps of a run as small blocks in order, cached ones hollow. */
function Steps({ run }: { run: PipelineRun }) {
  const done = run.steps.filter((step) => step.state === "succeeded").length;
  const cached = run.steps.filter((step) => step.cached).length;
  const text = `${done} of ${run.steps.length} steps done${cached ? `, ${cached} from the cache` : ""}`;
  return (
    <span className="row" title={text}>
      <span className="step-blocks" role="img" aria-label={text}>
        {run.steps.slice(0, 24).map((step) => (
          <i key={step.name} className={`step-${step.state} ${step.cached ? "is-cached" : ""}`} />
        ))}
      </span>
      <span className="dim">
        {done}/{run.steps.length}
      </span>
    </span>
  );
}

const COLUMNS: Column<PipelineRun>[] = [
  { key: "id", head: "Run", cell: (row) => <code>{labelOf(`pipeline-run:${row.id}`)}</code> },
  { key: "pipeline", head: "Pipeline", cell: (row) => row.pipeline, sort: (row) => row.pipeline },
  { key: "state", head: "State", cell: (row) => <State of={row.state} />, sort: (row) => row.state },
  { key: "steps", head: "Steps", cell: (row) => <Steps run={row} />, grow: true },
  { key: "trigger", head: "Started by", cell: (row) => row.trigger },
  { key: "took", head: "Took", num: true, cell: (row) => <Elapsed from={row.started_us} to={row.ended_us} /> },
  {
    key: "started",
    head: "Started",
    num: true,
    cell: (row) => <Time us={row.started_us ?? row.created_us} />,
    sort: (row) => row.started_us ?? row.created_us,
  },
];

const CODE = `# pipeline.py: functions with @trimtab.step, tied together by one with @trimtab.pipeline
trimtab pipelines run pipeline.py:train -p months=9
trimtab pipelines run pipeline.py:train -p months=9   # again: all from the cache`;

export function PipelinesPage() {
  const [search, setSearch] = useUrl();
  const chosen = search["pipeline"] ?? "";
  const pipelines = useInfiniteQuery(q.pipelines());
  const query = useInfiniteQuery(q.pipelineRuns(chosen));
  const rows = flat(query.data);
  const names = flat(pipelines.data);
  return (
    <Page title="Pipelines" meta="Steps that run in order, skip what has not changed, and remember what came from what.">
      <div className="stack stack-s">
        {names.length > 0 && (
          <div className="pipeline-picks" role="group" aria-label="Pipeline">
            <button type="button" className="chip" aria-pressed={!chosen} onClick={() => setSearch({ pipeline: undefined })}>
              All
            </button>
            {names.map((each) => (
              <button
                key={each.name}
                type="button"
                className="chip"
                aria-pressed={chosen === each.name}
                title={[each.description, each.cron && `by schedule ${each.cron} UTC`].filter(Boolean).join(", ")}
                onClick={() => setSearch({ pipeline: each.name })}
              >
                {each.name}
              </button>
            ))}
          </div>
        )}
        <Card flush>
          <QueryView
            query={query}
            empty={() =>
              rows.length ? null : (
                <Empty title={chosen ? `${chosen} has not run yet` : "No pipeline has run yet"} code={CODE}>
                  A pipeline turns data into a registered model in steps. Each step's result is kept by what went into it, so a second run
                  does only what changed.
                </Empty>
              )
            }
          >
            {() => (
              <Table
                label="Pipeline runs"
                rows={rows}
                columns={COLUMNS}
                rowKey={(row) => row.id}
                href={(row) => paths.pipelineRun(row.id)}
                tone={(row) => (row.state === "failed" ? "row-alarm" : undefined)}
              />
            )}
          </QueryView>
          <More has={query.hasNextPage} busy={query.isFetchingNextPage} load={() => void query.fetchNextPage()} />
        </Card>
      </div>
    </Page>
  );
}
