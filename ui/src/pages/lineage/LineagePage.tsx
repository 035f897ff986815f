// What came from what: the graph around any object, in either direction.
import { useQuery } from "@tanstack/react-query";
import { useState, type FormEvent } from "react";
import { q } from "../../api/queries.ts";
import { plural } from "../../format/number.ts";
import { hrefOf, labelOf } from "../../paths.ts";
import { A } from "../../ui/A.tsx";
import { Button } from "../../ui/Button.tsx";
import { Card } from "../../ui/Card.tsx";
import { Page } from "../../ui/Page.tsx";
import { QueryView } from "../../ui/QueryView.tsx";
import { Empty, Skeleton } from "../../ui/States.tsx";
import { useUrl } from "../../ui/useUrl.ts";
import { LineageGraph } from "./LineageGraph.tsx";

const DIRECTIONS: [value: string, label: string][] = [
  ["both", "Both ways"],
  ["up", "Where it came from"],
  ["down", "What it led to"],
];

function Graph({ focus, direction }: { focus: string; direction: string }) {
  const query = useQuery(q.lineage(focus, direction, 8));
  const href = hrefOf(focus);
  return (
    <QueryView
      query={query}
      skeleton={
        <Card>
          <Skeleton height={320} />
        </Card>
      }
      empty={(graph) =>
        graph.nodes.length ? null : (
          <Card>
            <Empty title="Nothing is known of it">
              No step, run or deployment has named {focus}. Check the spelling, such as model:flights/3 or data:flights@2.
            </Empty>
          </Card>
        )
      }
    >
      {(graph) => (
        <Card
          title={labelOf(focus)}
          note={`${plural(graph.nodes.length, "object")}, ${plural(graph.edges.length, "link")}${graph.truncated ? "; more than can be shown" : ""}`}
          actions={
            href && (
              <A className="btn" href={href}>
                Open
              </A>
            )
          }
          flush
        >
          <LineageGraph graph={graph} focus={focus} />
        </Card>
      )}
    </QueryView>
  );
}

export function LineagePage() {
  const [search, setSearch] = useUrl();
  const focus = search["ref"] ?? "";
  const direction = search["direction"] ?? "both";
  const [text, setText] = useState(focus);
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    setSearch({ ref: text.trim() }, { push: true });
  };
  return (
    <Page title="Lineage" meta="From any prediction back to the data and the code, and from any data to what it led to." wide>
      <form className="toolbar" onSubmit={submit}>
        <input
          className="input mono"
          data-filter=""
          aria-label="Object"
          placeholder="model:flights/3, data:flights@2, run:…, prediction:…"
          value={text}
          onChange={(event) => setText(event.target.value)}
        />
        <Button type="submit">Show</Button>
        <div className="segments" role="group" aria-label="Direction">
          {DIRECTIONS.map(([value, label]) => (
            <button
              key={value}
              type="button"
              aria-pressed={direction === value}
              onClick={() => setSearch({ direction: value === "both" ? undefined : value })}
            >
              {label}
            </button>
          ))}
        </div>
      </form>
      {focus ? (
        <Graph key={focus} focus={focus} direction={direction} />
      ) : (
        <Card>
          <Empty title="Choose an object">Type a reference above, or follow “lineage” on a run, a model version or a prediction.</Empty>
        </Card>
      )}
    </Page>
  );
}
