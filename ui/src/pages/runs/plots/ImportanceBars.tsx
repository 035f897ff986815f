// Which parameters moved a metric: shares of what a small forest of trees can tell, with the direction and how far to trust it.
import { useQuery } from "@tanstack/react-query";
import { q } from "../../../api/queries.ts";
import { Figure } from "../../../charts/Figure.tsx";
import { percent, plural, signed } from "../../../format/number.ts";
import { Failed, Skeleton } from "../../../ui/States.tsx";

const MOST = 12;
const WEAK = 0.2;

export function ImportanceBars({
  experiment,
  metric,
  filter,
  onPick,
}: {
  experiment: string;
  metric: string;
  filter: string;
  onPick?: (parameter: string) => void;
}) {
  const query = useQuery({ ...q.importance(experiment, metric, filter), staleTime: 60_000 });
  const found = query.data;
  const shown = found?.parameters.slice(0, MOST) ?? [];
  return (
    <Figure
      title="Parameter importance"
      note={found ? `for ${metric}, over ${plural(found.runs, "run")}` : `for ${metric}`}
      name={`importance-${metric}`}
      sheet={() => ({
        head: ["parameter", "importance", "rank correlation", "kind"],
        rows: (found?.parameters ?? []).map((each) => [each.name, each.importance, each.correlation, each.kind]),
      })}
    >
      {query.error ? (
        <Failed error={query.error} retry={() => void query.refetch()} />
      ) : !found ? (
        <Skeleton height={200} />
      ) : shown.length === 0 || found.runs < 8 ? (
        <p className="dim importance-none">
          {found.runs < 8
            ? `It takes at least 8 runs with ${metric}; there are ${found.runs}.`
            : "No parameter differs between these runs."}
        </p>
      ) : (
        <>
          <p className={`small ${found.explained < WEAK ? "importance-weak" : "dim"}`}>
            {found.explained < WEAK
              ? `Parameters explain only ${percent(found.explained)} of the differences in runs that were held out: read the shares as hints.`
              : `Parameters explain ${percent(found.explained)} of the differences in runs that were held out.`}
          </p>
          <ul className="importance">
            {shown.map((each) => (
              <li key={each.name}>
                {onPick ? (
                  <button type="button" className="truncate" title={`Show ${metric} by ${each.name}`} onClick={() => onPick(each.name)}>
                    {each.name}
                  </button>
                ) : (
                  <span className="truncate">{each.name}</span>
                )}
                <span className="importance-bar">
                  <span style={{ width: `${each.importance * 100}%` }} />
                </span>
                <b className="num">{percent(each.importance)}</b>
                <span className="num dim small" title="Spearman's rank correlation">
                  {each.correlation === null ? "category" : `ρ ${signed(each.correlation)}`}
                </span>
              </li>
            ))}
          </ul>
          {found.parameters.length > MOST && <p className="faint small">{found.parameters.length - MOST} more in the table view.</p>}
        </>
      )}
    </Figure>
  );
}
