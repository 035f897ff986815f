// One pipeline run: its graph of steps, and the chosen step's log, outputs and error.
import { useQuery } from "@tanstack/react-query";
import { seg, url } from "../../api/client.ts";
import { q } from "../../api/queries.ts";
import type { PipelineRun, PipelineStep } from "../../api/types.ts";
import { plural } from "../../format/number.ts";
import { actorName } from "../../format/who.ts";
import { labelOf, paths } from "../../paths.ts";
import { Card } from "../../ui/Card.tsx";
import { Copy } from "../../ui/Copy.tsx";
import { Facts } from "../../ui/Facts.tsx";
import { Page } from "../../ui/Page.tsx";
import { QueryView } from "../../ui/QueryView.tsx";
import { Badge, State } from "../../ui/Badge.tsx";
import { Skeleton } from "../../ui/States.tsx";
import { Elapsed, Time } from "../../ui/Time.tsx";
import { usePart, useUrl } from "../../ui/useUrl.ts";
import { LineageChips } from "../lineage/LineageChips.tsx";
import { RunActs } from "./RunActs.tsx";
import { Dag } from "./Dag.tsx";
import "./pipelines.css";

const text = (value: unknown): string => (typeof value === "string" ? value : JSON.stringify(value));

function Step({ run, step }: { run: string; step: PipelineStep }) {
  return (
    <Card
      title={step.name}
      note={
        <>
          {step.attempt > 1 && `attempt ${step.attempt}, `}
          <Elapsed from={step.started_us} to={step.ended_us} />
        </>
      }
      actions={
        <>
          {step.log_tail && (
            <a className="link small" href={url(`/pipeline-runs/${seg(run)}/steps/${seg(step.name)}/log`)} target="_blank" rel="noreferrer">
              whole log
            </a>
          )}
          {step.cached && <Badge tone="quiet">from the cache</Badge>}
          <State of={step.state} />
        </>
      }
    >
      <div className="stack">
        {step.error && (
          <div className="callout callout-alarm break" role="alert">
            <span>{step.error}</span>
          </div>
        )}
        {Object.keys(step.outputs).length > 0 && (
          <Facts columns={2} items={Object.entries(step.outputs).map(([key, value]) => [key, <code key={key}>{text(value)}</code>])} />
        )}
        {step.log_tail ? (
          <pre className="log" tabIndex={0} aria-label={`Log of ${step.name}`}>
            {step.log_tail}
          </pre>
        ) : (
          <p className="dim">{step.cached ? "Nothing ran: the result was already there for the same inputs and code." : "No log yet."}</p>
        )}
      </div>
    </Card>
  );
}

function Body({ run }: { run: PipelineRun }) {
  const [search, setSearch] = useUrl();
  const fallback =
    run.steps.find((step) => step.state === "failed") ?? run.steps.find((step) => step.state === "running") ?? run.steps.at(-1);
  const step = run.steps.find((each) => each.name === search["step"]) ?? fallback;
  const cached = run.steps.filter((each) => each.cached).length;
  return (
    <>
      {run.error && (
        <div className="callout callout-alarm break" role="alert">
          <span>{run.error}</span>
        </div>
      )}
      <Card title="Steps" note={`${plural(run.steps.length, "step")}${cached ? `, ${cached} from the cache` : ""}`} flush>
        <Dag steps={run.steps} picked={step?.name ?? null} onPick={(name) => setSearch({ step: name })} />
      </Card>
      <div className="grid-side">
        {step && <Step run={run.id} step={step} />}
        <Card title="Parameters">
          {Object.keys(run.params).length ? (
            <Facts items={Object.entries(run.params).map(([key, value]) => [key, <code key={key}>{text(value)}</code>])} />
          ) : (
            <p className="dim">None given.</p>
          )}
        </Card>
      </div>
    </>
  );
}

export function PipelineRunPage() {
  const id = usePart("id");
  const query = useQuery(q.pipelineRun(id));
  const run = query.data;
  return (
    <Page
      title={run ? `${run.pipeline} ${labelOf(`pipeline-run:${id}`)}` : labelOf(`pipeline-run:${id}`)}
      crumbs={[{ label: "Pipelines", href: "/pipelines" }, ...(run ? [{ label: run.pipeline, href: paths.pipeline(run.pipeline) }] : [])]}
      state={run && <State of={run.state} />}
      meta={
        run && (
          <>
            <span className="row">
              <code>{id}</code>
              <Copy text={id} label="Copy the id" />
            </span>
            <span>
              started by {run.trigger}
              {run.submitted_by && `, ${actorName(run.submitted_by)}`}
            </span>
            <span>
              <Time us={run.started_us ?? run.created_us} />
            </span>
            <span>
              {run.ended_us ? "took" : "for"} <Elapsed from={run.started_us} to={run.ended_us} />
            </span>
          </>
        )
      }
      chips={<LineageChips of={`pipeline-run:${id}`} />}
      actions={run && <RunActs run={run} />}
    >
      <QueryView query={query} skeleton={<Skeleton height={260} />}>
        {(data) => <Body run={data} />}
      </QueryView>
    </Page>
  );
}
