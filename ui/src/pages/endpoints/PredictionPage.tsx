// One prediction: what went in, what came out, what was true, and the whole chain it came from.
import { useQuery } from "@tanstack/react-query";
import { q } from "../../api/queries.ts";
import { duration } from "../../format/time.ts";
import { labelOf } from "../../paths.ts";
import { Card } from "../../ui/Card.tsx";
import { Copy } from "../../ui/Copy.tsx";
import { Facts } from "../../ui/Facts.tsx";
import { Page } from "../../ui/Page.tsx";
import { QueryView } from "../../ui/QueryView.tsx";
import { RefChip } from "../../ui/RefChip.tsx";
import { Time } from "../../ui/Time.tsx";
import { usePart } from "../../ui/useUrl.ts";
import { LineageGraph } from "../lineage/LineageGraph.tsx";

const text = (value: unknown): string => (typeof value === "string" ? value : value === null || value === undefined ? "–" : JSON.stringify(value));

export function PredictionPage() {
  const id = usePart("id");
  const query = useQuery(q.prediction(id));
  return (
    <Page title={`Prediction ${labelOf(`prediction:${id}`)}`} crumbs={[{ label: "Endpoints", href: "/endpoints" }]} meta={<span className="row"><code className="break">{id}</code><Copy text={id} label="Copy the id" /></span>}>
      <QueryView query={query}>
        {(data) => (
          <>
            <div className="grid-2">
              <Card title="In"><Facts items={Object.entries(data.inputs).map(([name, value]) => [name, text(value)])} /></Card>
              <div className="stack">
                <Card title="Out"><pre className="log">{JSON.stringify(data.outputs, null, 2)}</pre></Card>
                <Card title="About">
                  <Facts items={[
                    ["Endpoint", <RefChip key="e" of={`endpoint:${data.endpoint}`} />],
                    ["Version", `v${data.version}`],
                    ["Answered", <Time key="t" us={data.at_us} />],
                    ["Took", duration(data.latency_us)],
                    ["Label", data.label === null || data.label === undefined ? "not known yet" : text(data.label)],
                  ]} />
                </Card>
              </div>
            </div>
            {data.lineage && data.lineage.nodes.length > 0 && <Card title="Where it came from" note="data and code to this one answer" flush><LineageGraph graph={data.lineage} focus={`prediction:${id}`} /></Card>}
          </>
        )}
      </QueryView>
    </Page>
  );
}
