// Several runs beside each other: curves overlaid, parameters against outcomes, and what differs in all that was logged.
import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { get } from "../../../api/client.ts";
import type { Page as Rows, Run } from "../../../api/types.ts";
import { plural } from "../../../format/number.ts";
import { paths } from "../../../paths.ts";
import { Card } from "../../../ui/Card.tsx";
import { Page } from "../../../ui/Page.tsx";
import { Empty, Failed, Skeleton } from "../../../ui/States.tsx";
import { Tabs } from "../../../ui/Tabs.tsx";
import { useUrl } from "../../../ui/useUrl.ts";
import "../../experiments/experiments.css";
import { Curves } from "../curves/Curves.tsx";
import { Plots } from "../plots/Plots.tsx";
import { unpackIds } from "../table/columns.ts";
import { DiffTable } from "./DiffTable.tsx";

const MOST = 100;

export function ComparePage() {
  const [search, setSearch] = useUrl();
  const idsText = search["runs"];
  const ids = useMemo(() => [...new Set(unpackIds(idsText))].filter((id) => /^[\w-]+$/.test(id)).slice(0, MOST), [idsText]);
  const query = useQuery({
    queryKey: ["runs", "compared", ids],
    queryFn: ({ signal }) =>
      get<Rows<Run>>(
        "/runs",
        { filter: `attributes.run_id IN (${ids.map((id) => `'${id}'`).join(",")})`, view: "all", limit: MOST },
        signal,
      ),
    enabled: ids.length > 0,
    refetchInterval: (state) => (state.state.data?.items.some((run) => run.status === "RUNNING") ? 8000 : false),
  });
  const runs = useMemo(() => {
    const byId = new Map((query.data?.items ?? []).map((run) => [run.id, run]));
    return ids.map((id) => byId.get(id)).filter((run): run is Run => run !== undefined);
  }, [query.data, ids]);
  const drop = (id: string): void => setSearch({ runs: ids.filter((each) => each !== id).join(",") });
  const experiments = [...new Set(runs.map((run) => run.experiment_id))];
  const one = experiments.length === 1 ? (experiments[0] ?? null) : null;
  const gone = ids.length - runs.length;
  return (
    <Page
      title={`Compare ${plural(ids.length, "run")}`}
      crumbs={[{ label: "Experiments", href: "/experiments" }, ...(one ? [{ label: "Runs", href: paths.experiment(one) }] : [])]}
      meta={query.data && gone > 0 && <span>{plural(gone, "run")} no longer there</span>}
      wide
    >
      {ids.length === 0 ? (
        <Card>
          <Empty title="Nothing to compare">Select runs in an experiment with their check boxes or with x, then press Compare.</Empty>
        </Card>
      ) : query.error && !query.data ? (
        <Card>
          <Failed error={query.error} retry={() => void query.refetch()} />
        </Card>
      ) : !query.data ? (
        <Card>
          <Skeleton rows={10} />
        </Card>
      ) : runs.length === 0 ? (
        <Card>
          <Empty title="These runs are gone">They were deleted for good, or the address was shortened on its way.</Empty>
        </Card>
      ) : (
        <Tabs
          tabs={[
            { id: "charts", label: "Curves", body: () => <Curves runs={runs} /> },
            { id: "diff", label: "Differences", body: () => <DiffTable runs={runs} onDrop={drop} /> },
            { id: "plots", label: "Parameters", body: () => <Plots runs={runs} experiment={null} filter="" onFilter={null} /> },
          ]}
        />
      )}
    </Page>
  );
}
