// Facets beside the table: how many runs have which status, parameter or tag; a click keeps only those.
import { useQuery } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import { q } from "../../../api/queries.ts";
import type { Facet, Facets, RunColumns } from "../../../api/types.ts";
import { count } from "../../../format/number.ts";
import { Icon } from "../../../ui/Icon.tsx";
import { Skeleton } from "../../../ui/States.tsx";
import { read, without, withClause, writtenValue } from "../filter/grammar.ts";

const FEW = 6;
const WORDS: Record<string, string> = {
  RUNNING: "Running",
  FINISHED: "Finished",
  FAILED: "Failed",
  KILLED: "Stopped",
  SCHEDULED: "Scheduled",
};

/** "params.model" as entity and key; a bare word is an attribute. */
export const nameOf = (by: string): [entity: string, key: string] => {
  const stop = by.indexOf(".");
  return stop < 0 ? ["attributes", by === "owner" ? "user_id" : by] : [by.slice(0, stop), by.slice(stop + 1)];
};

/** A facet with the runs that have no value, which the server leaves out. */
export function complete(answer: Facets, i: number): Facet | undefined {
  const facet = answer.facets[i];
  if (!facet || facet.values.some((each) => each.value === null)) return facet;
  const without = answer.total - facet.others - facet.values.reduce((sum, each) => sum + each.runs, 0);
  return without > 0 ? { ...facet, values: [...facet.values, { value: null, runs: without }] } : facet;
}

interface Props {
  experiment: string;
  filter: string;
  base: string;
  /** Whether the facets are our choice and not the reader's. */
  auto: boolean;
  /** Whether the rows are there, which come first. */
  ready: boolean;
  bys: string[];
  catalogue: RunColumns | undefined;
  onFilter: (text: string) => void;
  onBys: (bys: string[]) => void;
}

function Values({ facet, chosen, onPick }: { facet: Facet; chosen: string | null | undefined; onPick: (value: string | null) => void }) {
  const [all, setAll] = useState(false);
  const top = Math.max(1, ...facet.values.map((each) => each.runs));
  const shown = all ? facet.values : facet.values.slice(0, FEW);
  return (
    <>
      {shown.map((each) => (
        <button
          key={each.value ?? "\u0000"}
          type="button"
          className="facet-value"
          style={{ "--share": each.runs / top } as React.CSSProperties}
          aria-pressed={chosen === each.value}
          onClick={() => onPick(each.value)}
          title={each.value ?? "no value"}
        >
          <span className={`truncate ${each.value === null ? "faint" : ""}`}>
            {facet.by === "status" ? (WORDS[each.value ?? ""] ?? each.value) : (each.value ?? "no value")}
          </span>
          <span className="num dim">{count(each.runs)}</span>
        </button>
      ))}
      {(facet.values.length > FEW || facet.others > 0) && (
        <div className="facet-more small faint">
          {facet.values.length > FEW && (
            <button type="button" className="link-button" onClick={() => setAll(!all)}>
              {all ? "Fewer" : `${facet.values.length - FEW} more`}
            </button>
          )}
          {facet.others > 0 && (all || facet.values.length <= FEW) && <span> {count(facet.others)} runs with rarer values</span>}
        </div>
      )}
      {facet.values.length === 0 && <p className="facet-more small faint">No run has it.</p>}
    </>
  );
}

function One({
  experiment,
  filter,
  base,
  by,
  onFilter,
  onClose,
  auto,
  ready,
}: Omit<Props, "bys" | "catalogue" | "onBys"> & { by: string; onClose: (() => void) | null }) {
  const [entity, key] = nameOf(by);
  const own = useMemo(
    () => read(filter, -1).clauses.find((each) => each.entity === entity && each.key === key && /^(=|IS NULL)$/.test(each.operator)),
    [filter, entity, key],
  );
  const rest = own ? without(filter, entity, key, ["=", "IS NULL"]) : filter;
  const query = useQuery({ ...q.facets(experiment, [rest, base].filter(Boolean).join(" AND "), [by]), enabled: ready || by === "status" });
  const facet = query.data && complete(query.data, 0);
  const chosen = own ? own.value : undefined;
  // Where nobody asked for it, a parameter that differs in almost every run is no facet.
  if (auto && by !== "status" && !own && (!facet || facet.values.length < 2 || facet.others > (query.data?.total ?? 0) / 3)) return null;
  const pick = (value: string | null): void => {
    if (own && chosen === value) onFilter(rest);
    else if (value === null) onFilter(withClause(rest, entity, key, "IS NULL", null));
    else onFilter(withClause(rest, entity, key, "=", writtenValue(value)));
  };
  return (
    <section className="facet" aria-label={`Facet ${key}`}>
      <div className="facet-head">
        <span className="truncate" title={by}>
          {entity === "attributes" ? (key === "status" ? "Status" : "Owner") : key}
        </span>
        {onClose && (
          <button type="button" className="copy" aria-label={`Close the facet ${key}`} onClick={onClose}>
            <Icon name="close" size={11} />
          </button>
        )}
      </div>
      {facet ? (
        <Values facet={facet} chosen={chosen} onPick={pick} />
      ) : query.error ? (
        <p className="facet-more small faint">Not counted.</p>
      ) : (
        <Skeleton rows={3} />
      )}
    </section>
  );
}

export function FacetPanel({ bys, catalogue, onBys, ...rest }: Props) {
  const more = [
    ...(catalogue?.params ?? []).map((each) => `params.${each.name}`),
    ...(catalogue?.tags ?? []).filter((each) => !each.name.startsWith("mlflow.")).map((each) => `tags.${each.name}`),
    "owner",
  ].filter((by) => !bys.includes(by));
  return (
    <aside className="facets" aria-label="Facets">
      {bys.map((by) => (
        <One key={by} by={by} {...rest} onClose={by === "status" ? null : () => onBys(bys.filter((each) => each !== by))} />
      ))}
      {more.length > 0 && (
        <div className="facet-add">
          <select className="select" aria-label="Add a facet" value="" onChange={(event) => onBys([...bys, event.target.value])}>
            <option value="">Count by…</option>
            {more.slice(0, 500).map((by) => (
              <option key={by} value={by}>
                {by}
              </option>
            ))}
          </select>
        </div>
      )}
    </aside>
  );
}
