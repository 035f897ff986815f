// Several runs beside each other: curves overlaid, parameters and final metrics in one table of differences.
import { useQueries } from "@tanstack/react-query";
import { q } from "../../api/queries.ts";
import type { Run } from "../../api/types.ts";
import { Page } from "../../ui/Page.tsx";
import { Card } from "../../ui/Card.tsx";
import { Empty, Failed, Skeleton } from "../../ui/States.tsx";
import { Tabs } from "../../ui/Tabs.tsx";
import { useUrl } from "../../ui/useUrl.ts";
import { unpackIds } from "../runs/table/columns.ts";
import { DiffTable } from "./DiffTable.tsx";
import "./experiments.css";
import { MetricCharts } from "./MetricCharts.tsx";

export function ComparePage() {
  const [search, setSearch] = useUrl();
  const ids = unpackIds(search["runs"]);
  const queries = useQueries({ queries: ids.map((id) => q.run(id)) });
  const runs = queries.map((query) => query.data).filter((run): run is Run => Boolean(run));
  const failed = queries.find((query) => query.error && !query.data);
  const drop = (id: string): void => setSearch({ runs: ids.filter((each) => each !== id).join(",") });
  return (
    <Page title={`Compare ${ids.length} runs`} crumbs={[{ label: "Experiments", href: "/experiments" }]} wide>
      {ids.length === 0 ? (
        <Card>
          <Empty title="Nothing to compare">Select runs in an experiment with their check boxes or with x, then press Compare.</Empty>
        </Card>
      ) : failed ? (
        <Card>
          <Failed error={failed.error} retry={() => void failed.refetch()} />
        </Card>
      ) : runs.length < ids.length ? (
        <Card>
          <Skeleton rows={10} />
        </Card>
      ) : (
        <Tabs
          tabs={[
            { id: "diff", label: "Differences", body: () => <DiffTable runs={runs} onDrop={drop} /> },
            { id: "charts", label: "Curves", body: () => <MetricCharts runs={runs} /> },
          ]}
        />
      )}
    </Page>
  );
}
