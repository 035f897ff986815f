// The plots of what a filter matches: the first thousand runs in the order of the table.
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { get } from "../../../api/client.ts";
import type { Page, Run, RunColumns } from "../../../api/types.ts";
import { number } from "../../../format/number.ts";
import { Card } from "../../../ui/Card.tsx";
import { Failed, Skeleton } from "../../../ui/States.tsx";
import { Plots } from "./Plots.tsx";

const MOST = 1000;

interface Props {
  experiment: string;
  filter: string;
  order: string;
  catalogue: RunColumns | undefined;
  onFilter: (filter: string) => void;
}

/** What is drawn: parameters and metrics, not tags, and of very many the most common. */
function wanted(catalogue: RunColumns): string[] {
  const common = (list: { name: string; runs: number }[], most: number): string[] =>
    [...list]
      .filter((each) => !each.name.startsWith("system/"))
      .sort((a, b) => b.runs - a.runs || a.name.localeCompare(b.name))
      .slice(0, most)
      .map((each) => each.name);
  return [
    ...common(catalogue.params, 60).map((name) => `params.${name}`),
    ...common(catalogue.metrics, 40).map((name) => `metrics.${name}`),
  ];
}

export function ManyPlots({ experiment, filter, order, catalogue, onFilter }: Props) {
  const columns = catalogue ? wanted(catalogue).join("\n") : "";
  const query = useQuery({
    queryKey: ["runs", "plotted", experiment, filter, order, columns],
    queryFn: ({ signal }) =>
      get<Page<Run>>(
        "/runs",
        { experiment_id: experiment, filter, order_by: order, limit: MOST, columns: columns ? columns.split("\n") : ["tags.none"] },
        signal,
      ),
    enabled: catalogue !== undefined,
    placeholderData: keepPreviousData,
    staleTime: 30_000,
  });
  if (query.error && !query.data)
    return (
      <Card>
        <Failed error={query.error} retry={() => void query.refetch()} />
      </Card>
    );
  if (!query.data)
    return (
      <Card>
        <Skeleton height={380} />
      </Card>
    );
  return (
    <div className="stack stack-s">
      {query.data.next_cursor && (
        <p className="callout small">
          The first {number(MOST)} runs in the order of the table are drawn. A filter or another order chooses others; importance looks at
          up to 2,000.
        </p>
      )}
      <Plots
        runs={query.data.items}
        experiment={experiment}
        filter={filter}
        onFilter={(made) => onFilter(filter && !made.startsWith("attributes.run_id IN") ? `${filter} AND ${made}` : made)}
      />
    </div>
  );
}
