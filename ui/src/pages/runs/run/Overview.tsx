// What was logged to a run: notes, metrics, parameters, tags that can be changed, what went in and what came out.
import { useQueryClient } from "@tanstack/react-query";
import { useQuery } from "@tanstack/react-query";
import { useState, type FormEvent } from "react";
import { del, put, seg } from "../../../api/client.ts";
import { q } from "../../../api/queries.ts";
import type { Run } from "../../../api/types.ts";
import { figure, number } from "../../../format/number.ts";
import { hrefOf } from "../../../paths.ts";
import { Button } from "../../../ui/Button.tsx";
import { Card } from "../../../ui/Card.tsx";
import { Facts } from "../../../ui/Facts.tsx";
import { Icon } from "../../../ui/Icon.tsx";
import { RefChip } from "../../../ui/RefChip.tsx";
import { Table, type Column } from "../../../ui/Table.tsx";
import { toast } from "../../../ui/Toasts.tsx";
import { NOTE_TAG, Notes } from "./Notes.tsx";

type Metric = [string, Run["metrics"][string]];
const METRICS: Column<Metric>[] = [
  { key: "key", head: "Metric", cell: ([key]) => key, sort: ([key]) => key, grow: true },
  { key: "value", head: "Last value", num: true, cell: ([, metric]) => figure(metric.value, 4), sort: ([, metric]) => metric.value },
  { key: "step", head: "At step", num: true, cell: ([, metric]) => number(metric.step), sort: ([, metric]) => metric.step },
];
const PARAMS: Column<[string, string]>[] = [
  { key: "key", head: "Parameter", cell: ([key]) => key, sort: ([key]) => key },
  { key: "value", head: "Value", cell: ([, value]) => <code title={value}>{value}</code>, sort: ([, value]) => value, grow: true },
];
const MANY = 8;

/** A heading with a search where the list is long. */
function useFind<T extends [string, unknown]>(rows: T[], what: string): [T[], React.ReactNode] {
  const [text, setText] = useState("");
  const wanted = text.toLowerCase();
  return [
    wanted
      ? rows.filter(
          ([key, value]) => key.toLowerCase().includes(wanted) || (typeof value === "string" && value.toLowerCase().includes(wanted)),
        )
      : rows,
    rows.length > MANY ? (
      <input
        key="find"
        className="input diff-find"
        placeholder={`Find a ${what}`}
        aria-label={`Find a ${what}`}
        value={text}
        onChange={(event) => setText(event.target.value)}
      />
    ) : null,
  ];
}

function Tags({ run }: { run: Run }) {
  const client = useQueryClient();
  const [key, setKey] = useState("");
  const [value, setValue] = useState("");
  const address = (tag: string): string => `/runs/${seg(run.id)}/tags/${tag.split("/").map(seg).join("/")}`;
  const act = async (what: Promise<unknown>): Promise<boolean> => {
    try {
      await what;
      await client.invalidateQueries({ queryKey: ["runs"] });
      return true;
    } catch (error) {
      toast(error instanceof Error ? error.message : String(error), true);
      return false;
    }
  };
  const add = async (event: FormEvent): Promise<void> => {
    event.preventDefault();
    if (key.trim() && (await act(put(address(key.trim()), { value })))) {
      setKey("");
      setValue("");
    }
  };
  const remove = async (tag: string, had: string): Promise<void> => {
    if (await act(del(address(tag))))
      toast(`Removed the tag ${tag}`, false, { label: "Undo", act: () => void act(put(address(tag), { value: had })) });
  };
  const tags = Object.entries(run.tags);
  const own = tags.filter(([tag]) => !tag.startsWith("mlflow."));
  const hidden = tags.filter(([tag]) => tag.startsWith("mlflow.") && tag !== NOTE_TAG);
  return (
    <Card title="Tags" note={String(own.length)}>
      <ul className="tag-list">
        {own.map(([tag, text]) => (
          <li key={tag} className="tag">
            <span className="dim">{tag}</span>
            <span className="break">{text}</span>
            <button type="button" className="copy" aria-label={`Remove the tag ${tag}`} onClick={() => void remove(tag, text)}>
              <Icon name="close" size={11} />
            </button>
          </li>
        ))}
      </ul>
      <form className="row tag-form" onSubmit={(event) => void add(event)}>
        <input
          className="input"
          aria-label="New tag"
          placeholder="tag"
          value={key}
          maxLength={250}
          onChange={(event) => setKey(event.target.value)}
        />
        <input
          className="input"
          aria-label="Its value"
          placeholder="value"
          value={value}
          maxLength={5000}
          onChange={(event) => setValue(event.target.value)}
        />
        <Button type="submit" disabled={!key.trim()}>
          Add
        </Button>
      </form>
      {hidden.length > 0 && (
        <details className="dim">
          <summary>{hidden.length} of MLflow</summary>
          <Facts items={hidden.map(([tag, text]) => [tag, text])} />
        </details>
      )}
    </Card>
  );
}

function Outputs({ run }: { run: Run }) {
  const lineage = useQuery(q.lineage(`run:${run.id}`, "both", 4));
  const own = new Set(
    (lineage.data?.edges ?? [])
      .filter((edge) => edge.from === `run:${run.id}` || run.models.some((id) => edge.from === `logged-model:${id}`))
      .map((edge) => edge.to),
  );
  const versions = (lineage.data?.nodes ?? []).filter((node) => node.kind === "model" && own.has(node.ref));
  if (!versions.length && !run.models.length) return null;
  return (
    <Card title="Models" note="that came out">
      <Facts
        items={[
          versions.length > 0 && [
            "registered",
            <span key="r" className="row row-wrap">
              {versions.map((node) => (
                <RefChip key={node.ref} of={node.ref} />
              ))}
            </span>,
          ],
          run.models.length > 0 && [
            "logged",
            <span key="l" className="stack stack-s">
              {run.models.map((id) => (
                <code key={id} className="break">
                  {id}
                </code>
              ))}
            </span>,
          ],
        ]}
      />
    </Card>
  );
}

export function Overview({ run }: { run: Run }) {
  const [metrics, findMetric] = useFind<Metric>(Object.entries(run.metrics), "metric");
  const [params, findParam] = useFind<[string, string]>(Object.entries(run.params), "parameter");
  return (
    <div className="grid-2">
      <div className="stack">
        <Notes run={run.id} text={run.tags[NOTE_TAG] ?? ""} />
        <Card title="Metrics" note={String(Object.keys(run.metrics).length)} actions={findMetric} flush className="card-tall">
          {metrics.length ? (
            <Table label="Metrics" rows={metrics} columns={METRICS} rowKey={([key]) => key} param="metrics" />
          ) : (
            <p className="dim card-none">{Object.keys(run.metrics).length ? "No metric is called so." : "Nothing logged."}</p>
          )}
        </Card>
        <Outputs run={run} />
      </div>
      <div className="stack">
        <Card title="Parameters" note={String(Object.keys(run.params).length)} actions={findParam} flush className="card-tall">
          {params.length ? (
            <Table label="Parameters" rows={params} columns={PARAMS} rowKey={([key]) => key} param="params" />
          ) : (
            <p className="dim card-none">{Object.keys(run.params).length ? "No parameter is called so." : "Nothing logged."}</p>
          )}
        </Card>
        <Tags run={run} />
        {run.datasets.length > 0 && (
          <Card title="Data" note="that went in">
            <Facts
              items={run.datasets.map((data) => [
                data.context ?? "input",
                hrefOf(data.source) ? (
                  <RefChip key={data.digest} of={data.source} />
                ) : (
                  <span key={data.digest}>
                    {data.name} <code className="faint">{data.digest}</code>
                  </span>
                ),
              ])}
            />
          </Card>
        )}
        <Card title="Source">
          {Object.keys(run.source).length ? (
            <Facts items={Object.entries(run.source).map(([key, value]) => [key, <code key={key}>{value}</code>])} />
          ) : (
            <p className="dim">Where it came from was not logged.</p>
          )}
        </Card>
      </div>
    </div>
  );
}
