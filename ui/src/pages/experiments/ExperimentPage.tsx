// One experiment: its runs, and what someone wrote about it.
import { useQuery } from "@tanstack/react-query";
import { q } from "../../api/queries.ts";
import { Badge } from "../../ui/Badge.tsx";
import { Copy } from "../../ui/Copy.tsx";
import { Page } from "../../ui/Page.tsx";
import { Time } from "../../ui/Time.tsx";
import { usePart } from "../../ui/useUrl.ts";
import { RunTable } from "../runs/table/RunTable.tsx";
import "./experiments.css";

export function ExperimentPage() {
  const id = usePart("id");
  const experiment = useQuery(q.experiment(id));
  const name = experiment.data?.name ?? id;
  return (
    <Page
      title={name}
      crumbs={[{ label: "Experiments", href: "/experiments" }]}
      state={experiment.data?.state === "deleted" && <Badge tone="quiet">in the trash</Badge>}
      meta={
        <>
          <span className="row">
            experiment <code>{id}</code>
            <Copy text={id} label="Copy the experiment id" />
          </span>
          {experiment.data && (
            <span>
              changed <Time us={experiment.data.updated_us} />
            </span>
          )}
          {experiment.data?.tags["mlflow.note.content"] && <span className="truncate">{experiment.data.tags["mlflow.note.content"]}</span>}
        </>
      }
      wide
    >
      <RunTable key={id} experiment={id} name={name} />
    </Page>
  );
}
