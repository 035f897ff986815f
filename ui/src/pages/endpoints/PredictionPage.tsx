// One prediction: what went in, what came out, what was true, and the whole chain it came from.
import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { Problem } from "../../api/client.ts";
import { q } from "../../api/queries.ts";
import type { Prediction } from "../../api/types.ts";
import { number } from "../../format/number.ts";
import { duration } from "../../format/time.ts";
import { labelOf, paths } from "../../paths.ts";
import { Card } from "../../ui/Card.tsx";
import { Copy } from "../../ui/Copy.tsx";
import { Facts } from "../../ui/Facts.tsx";
import { Page } from "../../ui/Page.tsx";
import { QueryView } from "../../ui/QueryView.tsx";
import { RefChip } from "../../ui/RefChip.tsx";
import { State } from "../../ui/Badge.tsx";
import { Failed, Skeleton } from "../../ui/States.tsx";
import { Time } from "../../ui/Time.tsx";
import { usePart } from "../../ui/useUrl.ts";
import { LineageGraph } from "../lineage/LineageGraph.tsx";
import { routeMeaning, routeName } from "./route.ts";
import "./endpoints.css";

const text = (value: unknown): string =>
  typeof value === "number"
    ? number(value, 6)
    : typeof value === "string"
      ? value
      : value === null || value === undefined
        ? "–"
        : JSON.stringify(value);

const RETRY_MS = 4000;
const TRIES = 15;
const missing = (error: unknown): boolean => error instanceof Problem && error.status === 404;

/** The lineage of the version that answered, with the answer at its end. */
function Chain({ id, prediction }: { id: string; prediction: Prediction }) {
  const endpoint = useQuery(q.endpoint(prediction.endpoint));
  const version = endpoint.data ? `model:${endpoint.data.model}/${prediction.version}` : "";
  const query = useQuery({ ...q.lineage(version, "up", 8), enabled: Boolean(version) });
  const graph = useMemo(() => {
    if (!query.data) return null;
    const ref = `prediction:${id}`;
    const own = { ref, kind: "prediction", label: labelOf(ref), href: "" };
    return {
      nodes: [...query.data.nodes.filter((node) => node.ref !== ref), own],
      edges: [
        ...query.data.edges.filter((edge) => edge.to !== ref),
        { from: version, to: ref, kind: "predicted", at_us: prediction.at_us },
      ],
    };
  }, [query.data, id, version, prediction.at_us]);
  if (endpoint.error) return null;
  return (
    <Card title="Where it came from" note="data and code to this one answer" flush>
      {graph ? (
        <LineageGraph graph={graph} focus={`prediction:${id}`} />
      ) : query.error ? (
        <Failed error={query.error} />
      ) : (
        <Skeleton height={220} />
      )}
    </Card>
  );
}

export function PredictionPage() {
  const id = usePart("id");
  const query = useQuery({
    ...q.prediction(id),
    refetchInterval: (state) => (missing(state.state.error) && state.state.errorUpdateCount < TRIES ? RETRY_MS : false),
  });
  const data = query.data;
  return (
    <Page
      title={`Prediction ${labelOf(`prediction:${id}`)}`}
      crumbs={[
        { label: "Endpoints", href: "/endpoints" },
        ...(data ? [{ label: data.endpoint, href: paths.endpoint(data.endpoint) }] : []),
      ]}
      state={data && <State of={data.role} />}
      meta={
        <>
          <span className="row">
            <code className="break">{id}</code>
            <Copy text={id} label="Copy the id" />
          </span>
          {data && (
            <span>
              answered <Time us={data.at_us} />
            </span>
          )}
        </>
      }
    >
      {!data && missing(query.error) && (
        <div className="callout" role="status">
          <span>A prediction is taken in some seconds after its answer. This page looks again by itself for a minute.</span>
        </div>
      )}
      <QueryView query={query}>
        {(prediction) => (
          <>
            <Card>
              <Facts
                columns={2}
                items={[
                  ["Endpoint", <RefChip key="e" of={`endpoint:${prediction.endpoint}`} />],
                  ["Version", `v${prediction.version}`],
                  ["Event time", <Time key="t" us={prediction.event_us} />],
                  ["Took", duration(prediction.latency_us)],
                  ["Route", `${routeName(prediction)}: ${routeMeaning(prediction)}`],
                ]}
              />
            </Card>
            {prediction.rows.map((row) => (
              <div key={row.row} className="grid-2">
                <Card title={prediction.rows.length > 1 ? `In, row ${row.row}` : "In"}>
                  <Facts items={Object.entries(row.inputs).map(([name, value]) => [name, text(value)])} />
                </Card>
                <Card title="Out">
                  <div className="stack">
                    <pre className="log">{JSON.stringify(row.output, null, 2)}</pre>
                    <Facts
                      items={[
                        ["Score", text(row.score)],
                        ["Label", row.label === null || row.label === undefined ? "not known yet" : text(row.label)],
                      ]}
                    />
                  </div>
                </Card>
              </div>
            ))}
            <Chain id={id} prediction={prediction} />
          </>
        )}
      </QueryView>
    </Page>
  );
}
