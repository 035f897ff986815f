// One trace: its spans as a waterfall, the chosen span in full, and what is said of the trace.
import { useQuery } from "@tanstack/react-query";
import { q } from "../../api/queries.ts";
import type { Assessment, Span, TraceDetail } from "../../api/types.ts";
import { number, plural } from "../../format/number.ts";
import { duration } from "../../format/time.ts";
import { paths } from "../../paths.ts";
import { A } from "../../ui/A.tsx";
import { Badge } from "../../ui/Badge.tsx";
import { Card } from "../../ui/Card.tsx";
import { Copy } from "../../ui/Copy.tsx";
import { Facts } from "../../ui/Facts.tsx";
import { Page } from "../../ui/Page.tsx";
import { QueryView } from "../../ui/QueryView.tsx";
import { Empty } from "../../ui/States.tsx";
import { Table, type Column } from "../../ui/Table.tsx";
import { Tabs } from "../../ui/Tabs.tsx";
import { Time } from "../../ui/Time.tsx";
import { usePart, useUrl } from "../../ui/useUrl.ts";
import { SpanDetail } from "./SpanDetail.tsx";
import { SOURCES, STATES, verdict } from "./said.ts";
import { Waterfall } from "./Waterfall.tsx";
import "./traces.css";

function Assessments({ rows, spans }: { rows: Assessment[]; spans: Span[] }) {
  const columns: Column<Assessment>[] = [
    { key: "name", head: "Name", cell: (row) => <b>{row.name}</b>, sort: (row) => row.name },
    { key: "kind", head: "Kind", cell: (row) => row.kind, sort: (row) => row.kind },
    { key: "value", head: "Value", cell: (row) => <span className={row.error ? "tone-alarm" : ""}>{verdict(row)}</span>, grow: true },
    { key: "why", head: "Because", cell: (row) => row.rationale ?? "–", grow: true },
    { key: "who", head: "By", cell: (row) => [SOURCES[row.source_type], row.source_id].filter(Boolean).join(", ") },
    { key: "span", head: "Of span", cell: (row) => spans.find((span) => span.id === row.span_id)?.name ?? "–" },
    { key: "valid", head: "Counts", cell: (row) => (row.valid ? "yes" : "overridden") },
    { key: "at", head: "When", num: true, cell: (row) => <Time us={row.updated_us} />, sort: (row) => row.updated_us },
  ];
  return rows.length ? (
    <Table label="Assessments" rows={rows} columns={columns} rowKey={(row) => row.id} param="said" />
  ) : (
    <Empty title="Nobody has said anything of it" code={`mlflow.log_feedback(trace_id="…", name="good", value=True)`}>
      Feedback and expectations come from people, from code and from language models that judge.
    </Empty>
  );
}

function Pairs({ of: pairs, label }: { of: Record<string, string>; label: string }) {
  const rows = Object.entries(pairs).sort(([a], [b]) => a.localeCompare(b));
  return rows.length ? <Facts items={rows.map(([key, value]) => [key, value])} /> : <p className="dim">No {label}.</p>;
}

function Body({ trace: { info, spans } }: { trace: TraceDetail }) {
  const [search, setSearch] = useUrl();
  const chosen = spans.find((span) => span.id === search["span"]) ?? spans[0];
  return (
    <div className="stack">
      <Tabs
        tabs={[
          {
            id: "spans",
            label: "Spans",
            count: spans.length,
            body: () =>
              chosen ? (
                <div className="trace-split">
                  <Card flush title="Waterfall" note={duration(info.duration_us)}>
                    <Waterfall
                      spans={spans}
                      chosen={chosen.id}
                      choose={(id) => setSearch({ span: id === spans[0]?.id ? undefined : id })}
                    />
                  </Card>
                  <SpanDetail span={chosen} />
                </div>
              ) : (
                <Card>
                  <Empty title="No span has arrived">
                    The client has told of this trace; its spans are on their way, or went elsewhere.
                  </Empty>
                </Card>
              ),
          },
          {
            id: "assessments",
            label: "Assessments",
            count: info.assessments.length,
            body: () => (
              <Card flush>
                <Assessments rows={info.assessments} spans={spans} />
              </Card>
            ),
          },
          {
            id: "tags",
            label: "Tags and metadata",
            body: () => (
              <div className="trace-split">
                <Card title="Tags">
                  <Pairs of={info.tags} label="tags" />
                </Card>
                <Card title="Metadata">
                  <Pairs of={info.metadata} label="metadata" />
                </Card>
              </div>
            ),
          },
        ]}
      />
    </div>
  );
}

export function TracePage() {
  const id = usePart("id");
  const query = useQuery(q.trace(id));
  const info = query.data?.info;
  const state = info && STATES[info.state];
  return (
    <Page
      title={info?.name || id}
      crumbs={[{ label: "Traces", href: "/traces" }]}
      wide
      state={state && <Badge {...state}>{state.text}</Badge>}
      meta={
        info && (
          <span>
            <code>{info.id}</code> <Copy text={info.id} label="Copy the trace's id" /> started <Time us={info.started_us} />, took{" "}
            {duration(info.duration_us)}, {plural(info.spans, "span")}
            {info.tokens !== null && <>, {plural(info.tokens, "token")}</>}
            {info.cost !== null && <>, {number(info.cost)} US dollars</>}
            {info.session && <>, session {info.session}</>}, in{" "}
            <A href={paths.experiment(info.experiment_id)}>experiment {info.experiment_id}</A>
          </span>
        )
      }
    >
      <QueryView query={query}>{(trace) => <Body trace={trace} />}</QueryView>
    </Page>
  );
}
