// One prediction: what went in, what came out, what was true, and the whole chain it came from.
import { useQuery } from "@tanstack/react-query";
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
import { Empty, Skeleton } from "../../ui/States.tsx";
import { Time } from "../../ui/Time.tsx";
import { usePart } from "../../ui/useUrl.ts";
import { LineageGraph } from "../lineage/LineageGraph.tsx";
import "./endpoints.css";

const text = (value: unknown): string => (typeof value === "number" ? number(value, 6) : typeof value === "string" ? value : value === null || value === undefined ? "–" : JSON.stringify(value));

function Chain({ id, prediction }: { id: string; prediction: Prediction }) {
  const own = useQuery(q.lineage(`prediction:${id}`, "up", 8));
  const found = (own.data?.nodes.length ?? 0) > 1;
  const endpoint = useQuery({ ...q.lineage(`endpoint:${prediction.endpoint}`, "up", 8), enabled: own.isSuccess && !found });
  const query = found ? own : endpoint;
  return (
    <Card title="Where it came from" note="data and code to this one answer" flush>
      <QueryView query={query} skeleton={<Skeleton height={220} />} empty={(graph) => (graph.nodes.length ? null : <Empty title="No lineage is recorded">The model behind this answer was registered without a run or a data version.</Empty>)}>
        {(graph) => <LineageGraph graph={graph} focus={found ? `prediction:${id}` : `endpoint:${prediction.endpoint}`} />}
      </QueryView>
    </Card>
  );
}

export function PredictionPage() {
  const id = usePart("id");
  const query = useQuery(q.prediction(id));
  const data = query.data;
  return (
    <Page title={`Prediction ${labelOf(`prediction:${id}`)}`} crumbs={[{ label: "Endpoints", href: "/endpoints" }, ...(data ? [{ label: data.endpoint, href: paths.endpoint(data.endpoint) }] : [])]}
      state={data && <State of={data.role} />} meta={<><span className="row"><code className="break">{id}</code><Copy text={id} label="Copy the id" /></span>{data && <span>answered <Time us={data.at_us} /></span>}</>}>
      <QueryView query={query}>
        {(prediction) => (
          <>
            <Card>
              <Facts columns={2} items={[
                ["Endpoint", <RefChip key="e" of={`endpoint:${prediction.endpoint}`} />],
                ["Version", `v${prediction.version}`],
                ["Event time", <Time key="t" us={prediction.event_us} />],
                ["Took", duration(prediction.latency_us)],
              ]} />
            </Card>
            {prediction.rows.map((row) => (
              <div key={row.row} className="grid-2">
                <Card title={prediction.rows.length > 1 ? `In, row ${row.row}` : "In"}><Facts items={Object.entries(row.inputs).map(([name, value]) => [name, text(value)])} /></Card>
                <Card title="Out">
                  <div className="stack">
                    <pre className="log">{JSON.stringify(row.output, null, 2)}</pre>
                    <Facts items={[["Score", text(row.score)], ["Label", row.label === null || row.label === undefined ? "not known yet" : text(row.label)]]} />
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
