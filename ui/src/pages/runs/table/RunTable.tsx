// Everything about the runs of an experiment on one screen: filter, facets, views, columns, groups, selection and the table.
import { useIsFetching, useQuery, useQueryClient } from "@tanstack/react-query";
import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import { get, Problem } from "../../../api/client.ts";
import { q } from "../../../api/queries.ts";
import type { Page, Run, SavedView, ViewState } from "../../../api/types.ts";
import { count, number, plural } from "../../../format/number.ts";
import { Button } from "../../../ui/Button.tsx";
import { Card } from "../../../ui/Card.tsx";
import { Empty, Failed, Skeleton } from "../../../ui/States.tsx";
import { useUrl } from "../../../ui/useUrl.ts";
import { RUN_CODE } from "../../experiments/code.ts";
import { FilterBar } from "../filter/FilterBar.tsx";
import { ManyPlots } from "../plots/ManyPlots.tsx";
import { writtenName, writtenValue } from "../filter/grammar.ts";
import { BulkBar } from "./BulkBar.tsx";
import { columnOf, idsOf, packIds, sampled, unpackIds, usual, wantedOf } from "./columns.ts";
import { ColumnsPanel } from "./ColumnsPanel.tsx";
import { complete, FacetPanel, nameOf } from "./FacetPanel.tsx";
import type { HeadActs } from "./GridHead.tsx";
import type { GroupHead, Line } from "./lines.ts";
import { RunGrid } from "./RunGrid.tsx";
import { useLines } from "./useLines.ts";
import { ViewsMenu } from "./ViewsMenu.tsx";

const TOP_LEVEL = "tags.`mlflow.parentRunId` IS NULL";
const PARENTS = "tags.mlflow.parentRunId";
const MOST_PARENTS = 200;
const MOST_GROUPS = 200;
const URL_SELECTION = 40;

/** What the table is sorted by is always to be seen, just after the run's own facts. */
const withSorted = (ids: string[], sorted: string): string[] => {
  if (sorted === "" || ids.includes(sorted)) return ids;
  const at = ids.findIndex((id) => id[1] === ":");
  return at < 0 ? [...ids, sorted] : [...ids.slice(0, at), sorted, ...ids.slice(at)];
};

const remembered = (key: string): string | null => {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
};
const remember = (key: string, value: string): void => {
  try {
    localStorage.setItem(key, value);
  } catch {
    // Storage is off: the choice lasts until the page is left.
  }
};

export function RunTable({ experiment, name }: { experiment: string; name: string }) {
  const [search, setSearch] = useUrl();
  const client = useQueryClient();
  const [epoch, setEpoch] = useState(0);
  const widthsKey = `trimtab.widths.${experiment}`;
  const [widths, setWidths] = useState<Record<string, number>>(() => JSON.parse(remembered(widthsKey) ?? "{}") as Record<string, number>);
  const [panel, setPanel] = useState(() => (remembered("trimtab.facets") ?? (innerWidth >= 1280 ? "1" : "0")) === "1");
  const [selected, setSelectedSet] = useState(() => new Set(unpackIds(search["sel"])));

  const counted = useQuery({ ...q.runColumns(experiment), staleTime: 60_000 });
  const sample = useQuery({
    queryKey: ["runs", "sample", experiment],
    queryFn: ({ signal }) => get<Page<Run>>("/runs", { experiment_id: experiment, limit: 30 }, signal),
    enabled: !counted.data,
    staleTime: Infinity,
  });
  const catalogue = useMemo(() => ({ data: counted.data ?? (sample.data && sampled(sample.data.items)) }), [counted.data, sample.data]);
  const filter = search["filter"] ?? "";
  const plots = search["show"] === "plots";
  const nestedKey = `trimtab.nested.${experiment}`;
  const [settled, setSettled] = useState(false);
  // Browsers keep few requests on their way at once: what stands in the table goes before what stands beside it.
  const parents = useQuery({
    ...q.facets(experiment, "", [PARENTS], MOST_PARENTS),
    staleTime: 30_000,
    enabled: settled || remembered(nestedKey) === "1",
  });
  const kids = useMemo(() => {
    const facet = parents.data?.facets[0];
    return {
      byId: new Map((facet?.values ?? []).filter((each) => each.value !== null).map((each) => [each.value ?? "", each.runs])),
      partial: (facet?.others ?? 0) > 0,
    };
  }, [parents.data]);
  const hasNested = parents.data ? kids.byId.size > 0 : remembered(nestedKey) === "1";
  useEffect(() => {
    if (parents.data) remember(nestedKey, kids.byId.size > 0 ? "1" : "0");
  }, [parents.data, kids, nestedKey]);
  const groupBy = search["group"] ?? "";
  const nested = !groupBy && hasNested && (search["nested"] ? search["nested"] === "1" : filter === "" && !search["sort"]);
  const full = [filter, nested ? TOP_LEVEL : ""].filter(Boolean).join(" AND ");

  const sortId = search["sort"]?.replace(/^-/, "") ?? "";
  const desc = search["sort"]?.startsWith("-") ?? false;
  const sortWord = sortId ? columnOf(sortId).order : null;
  const order = sortWord ? `${sortWord} ${desc ? "DESC" : "ASC"}` : "";

  const counts = useQuery(q.facets(experiment, full, ["status"]));
  const total = counts.data && !counts.isPlaceholderData ? counts.data.total : null;
  const groupQuery = useQuery({
    ...q.facets(experiment, full, [groupBy], MOST_GROUPS),
    enabled: groupBy !== "",
    placeholderData: undefined,
  });
  const groupFacet = useMemo(() => (groupBy && groupQuery.data ? complete(groupQuery.data, 0) : undefined), [groupBy, groupQuery.data]);

  const drawing = useIsFetching({ queryKey: ["runs", "plotted"] });
  const columnsKnown = catalogue.data !== undefined || search["cols"] !== undefined || (counted.error !== null && sample.error !== null);
  const all = useMemo(() => idsOf(catalogue.data), [catalogue.data]);
  const chosen = useMemo(() => unpackIds(search["cols"]), [search["cols"]]);
  const shownIds = useMemo(
    () => (chosen.length ? ["name", ...chosen.filter((id) => id !== "name")] : withSorted(usual(catalogue.data), sortId)),
    [chosen, catalogue.data, sortId],
  );
  const pins = Math.max(1, Math.min(Number(search["pins"] ?? 1) || 1, shownIds.length));
  const narrow = innerWidth <= 720;
  const columns = useMemo(
    () =>
      shownIds.map((id) => {
        const column = columnOf(id);
        const width = widths[id] ?? (narrow && id === "name" ? 150 : column.width);
        return width === column.width ? column : { ...column, width };
      }),
    [shownIds, widths, narrow],
  );
  const wanted = useMemo(() => wantedOf(shownIds), [shownIds]);

  const groups = useMemo(() => {
    if (!groupBy || !groupFacet) return null;
    const [entity, key] = nameOf(groupBy);
    const clauseOf = (group: GroupHead): string =>
      group.value === null ? `${writtenName(entity, key)} IS NULL` : `${writtenName(entity, key)} = ${writtenValue(group.value)}`;
    return { heads: groupFacet.values, clauseOf };
  }, [groupBy, groupFacet]);
  const { lines, waiting } = useLines({ experiment, filter: full, order, wanted, total, groups, epoch });

  if (!settled && (lines.held > 0 || lines.error !== null || plots)) setSettled(true);

  // New runs wait behind a count, and come by themselves while nobody is busy in the table.
  const [baseline, setBaseline] = useState<{ of: unknown; total: number } | null>(null);
  if (total !== null && !waiting && baseline?.of !== lines) setBaseline({ of: lines, total });
  const fresh = total !== null && baseline?.of === lines ? total - baseline.total : 0;
  const busy = useRef(false);
  const grid = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const scrolled = (grid.current?.querySelector(".rg")?.scrollTop ?? 0) > 4;
    if (fresh !== 0 && !busy.current && !scrolled && selected.size === 0 && !groupBy) setEpoch((before) => before + 1);
  }, [fresh, selected, groupBy]);

  // Runs in view that are still going are asked for again by their ids; the rows stay where they are.
  const [going, setGoing] = useState<string[]>([]);
  const onView = useCallback((visible: Line[]) => {
    const ids = visible.flatMap((line) =>
      line.kind === "run" && line.run && /RUNNING|SCHEDULED/.test(line.run.status) ? [line.run.id] : [],
    );
    setGoing((before) => (before.join() === ids.join() ? before : ids));
  }, []);
  const pulse = useQuery({
    queryKey: ["runs", "going", experiment, going, wanted],
    queryFn: ({ signal }) =>
      get<Page<Run>>(
        "/runs",
        {
          experiment_id: experiment,
          filter: `attributes.run_id IN (${going.map((id) => `'${id}'`).join(",")})`,
          columns: wanted,
          limit: 200,
        },
        signal,
      ),
    enabled: going.length > 0,
    refetchInterval: (query) => Math.min(20_000, 3000 * 1.3 ** Math.min(8, query.state.dataUpdateCount)),
    staleTime: 2000,
  });
  useEffect(() => {
    if (pulse.data) lines.patch(pulse.data.items);
  }, [lines, pulse.data]);

  const setSelected = useCallback(
    (next: Set<string>): void => {
      setSelectedSet(next);
      const ids = [...next];
      setSearch({ sel: ids.length && ids.length <= URL_SELECTION ? packIds(ids) : undefined });
    },
    [setSearch],
  );
  const childrenOf = useCallback(
    (id: string): number | null => (nested ? (kids.byId.get(id) ?? (kids.partial ? null : 0)) : 0),
    [nested, kids],
  );
  const setColumns = (ids: string[] | null, nextPins?: number): void =>
    setSearch({
      cols: ids ? packIds(ids) : undefined,
      pins: nextPins === undefined ? search["pins"] : nextPins > 1 ? String(nextPins) : undefined,
    });
  const setWidth = (id: string, width: number): void =>
    setWidths((before) => {
      const next = { ...before, [id]: Math.max(60, Math.min(800, Math.round(width))) };
      if (width === 0) delete next[id];
      remember(widthsKey, JSON.stringify(next));
      return next;
    });
  const acts: HeadActs = {
    sort: sortId ? { id: sortId, desc } : null,
    onSort: (id, down) => setSearch({ sort: down === null ? undefined : `${down ? "-" : ""}${id}` }),
    onWidth: setWidth,
    onMove: (id, before) => {
      const rest = shownIds.filter((each) => each !== id);
      const at = before === "" ? rest.length : before === "name" ? 1 : rest.indexOf(before);
      setColumns([...rest.slice(0, at), id, ...rest.slice(at)]);
    },
    onPin: (id, pinned) => {
      const rest = shownIds.filter((each) => each !== id);
      const at = pinned ? pins : pins - 1;
      setColumns([...rest.slice(0, at), id, ...rest.slice(at)], pinned ? pins + 1 : pins - 1);
    },
    onHide: (id) =>
      setColumns(
        shownIds.filter((each) => each !== id),
        shownIds.indexOf(id) < pins ? pins - 1 : pins,
      ),
    onGroup: (id) =>
      setSearch({ group: id === "status" ? "status" : `${id[0] === "p" ? "params" : "tags"}.${id.slice(2)}`, sel: undefined }),
  };

  const facetBys = useMemo(() => {
    const known = unpackIds(search["facets"]);
    if (known.length) return known;
    const params = [...(catalogue.data?.params ?? [])].sort((a, b) => b.runs - a.runs).slice(0, 5);
    return ["status", ...params.map((each) => `params.${each.name}`)];
  }, [search["facets"], catalogue.data]);
  const state: ViewState = {
    filter: filter || undefined,
    sort: search["sort"],
    cols: chosen.length ? chosen : undefined,
    pins: pins > 1 ? pins : undefined,
    widths: Object.keys(widths).length ? widths : undefined,
    group: groupBy || undefined,
    nested: search["nested"] ? search["nested"] === "1" : undefined,
    facets: search["facets"] ? facetBys : undefined,
  };
  const openView = (view: SavedView | null): void => {
    const next = view?.state ?? {};
    setWidths(next.widths ?? {});
    setSearch(
      {
        view: view?.id,
        filter: next.filter,
        sort: next.sort,
        cols: next.cols ? packIds(next.cols) : undefined,
        pins: next.pins ? String(next.pins) : undefined,
        group: next.group,
        nested: next.nested === undefined ? undefined : next.nested ? "1" : "0",
        facets: next.facets ? packIds(next.facets) : undefined,
      },
      { push: true },
    );
  };
  const runsOf = (id: string): number | null => {
    const list = { m: catalogue.data?.metrics, p: catalogue.data?.params, t: catalogue.data?.tags }[id.slice(0, 1)];
    return id[1] === ":" ? (list?.find((each) => each.name === id.slice(2))?.runs ?? null) : null;
  };
  const rowOf = (id: string): Run | undefined => {
    for (let i = 0; i < lines.count; i += 1) {
      const line = lines.at(i);
      if (line.kind === "run" && line.run?.id === id) return line.run;
    }
    return undefined;
  };
  const again = (): void => {
    setEpoch((before) => before + 1);
    void client.invalidateQueries({ queryKey: ["runs"] });
  };
  const setFilter = useCallback((text: string) => setSearch({ filter: text || undefined }), [setSearch]);
  const error = lines.error ?? (counts.error && !counts.data ? counts.error : null);
  const nothing = lines.count === 0 && !waiting && !groupQuery.isFetching;
  const groupables = [
    ...(catalogue.data?.params ?? []).map((each) => `params.${each.name}`),
    "status",
    "owner",
    ...(catalogue.data?.tags ?? []).filter((each) => !each.name.startsWith("mlflow.")).map((each) => `tags.${each.name}`),
  ];

  return (
    <div className="stack stack-s">
      <div className="toolbar">
        <Button
          icon="menu"
          aria-label="Facets"
          aria-pressed={panel}
          title={panel ? "Hide the facets" : "Show the facets"}
          onClick={() => {
            setPanel(!panel);
            remember("trimtab.facets", panel ? "0" : "1");
          }}
        />
        <FilterBar experiment={experiment} filter={filter} catalogue={catalogue.data} error={error} onFilter={setFilter} />
        <select
          className="select select-inline"
          aria-label="Group by"
          value={groupBy}
          onChange={(event) => setSearch({ group: event.target.value || undefined })}
        >
          <option value="">No grouping</option>
          {groupables.slice(0, 500).map((by) => (
            <option key={by} value={by}>
              Group by {by}
            </option>
          ))}
        </select>
        {hasNested && !groupBy && (
          <label className="toggle">
            <input type="checkbox" checked={nested} onChange={() => setSearch({ nested: nested ? "0" : "1" })} />
            Nested
          </label>
        )}
        <span className="grow" />
        <div className="segments" role="group" aria-label="Show as">
          <button type="button" aria-pressed={!plots} onClick={() => setSearch({ show: undefined })}>
            Table
          </button>
          <button type="button" aria-pressed={plots} onClick={() => setSearch({ show: "plots" })}>
            Plots
          </button>
        </div>
        <ViewsMenu experiment={experiment} state={state} current={search["view"]} onOpen={openView} />
        <ColumnsPanel all={all} shown={shownIds} pins={pins} runsOf={runsOf} onChange={setColumns} />
      </div>
      {selected.size > 0 && (
        <BulkBar
          experiment={experiment}
          ids={[...selected]}
          columns={shownIds}
          rowOf={rowOf}
          onClear={() => setSelected(new Set())}
          onChanged={again}
        />
      )}
      <div className={`runs-layout ${panel ? "" : "is-bare"}`}>
        {panel && (
          <FacetPanel
            experiment={experiment}
            filter={filter}
            base={nested ? TOP_LEVEL : ""}
            ready={plots ? drawing === 0 && catalogue.data !== undefined : lines.held > 0 || nothing}
            auto={!search["facets"]}
            bys={facetBys}
            catalogue={catalogue.data}
            onFilter={setFilter}
            onBys={(bys) => setSearch({ facets: packIds(bys) })}
          />
        )}
        <div
          ref={grid}
          className={`runs-main ${waiting ? "is-waiting" : ""}`}
          onPointerEnter={() => (busy.current = true)}
          onPointerLeave={() => (busy.current = false)}
        >
          {fresh > 0 && !plots && (
            <div className="fresh">
              <button type="button" onClick={() => setEpoch((before) => before + 1)}>
                {plural(fresh, "new run")}
              </button>
            </div>
          )}
          {plots && !error ? (
            <ManyPlots experiment={experiment} filter={filter} order={order} catalogue={catalogue.data} onFilter={setFilter} />
          ) : error instanceof Problem && error.status === 400 && filter !== "" ? (
            <Card>
              <Empty title="This filter cannot be read">
                {error.detail || error.title} The place is underlined in the filter above;{" "}
                <code>metrics.loss &lt; 0.4 AND params.depth = '6'</code> is one that can be.
              </Empty>
            </Card>
          ) : error !== null && lines.held === 0 ? (
            <Card>
              <Failed
                error={error}
                retry={() => {
                  lines.retry();
                  again();
                }}
              />
            </Card>
          ) : groupBy && groupQuery.error ? (
            <Card>
              <Failed error={groupQuery.error} retry={() => void groupQuery.refetch()} />
            </Card>
          ) : (groupBy && !groups) || !columnsKnown ? (
            <Card>
              <Skeleton rows={10} />
            </Card>
          ) : nothing ? (
            <Card>
              {full !== "" && filter !== "" ? (
                <Empty title="No run matches">
                  Nothing in {name} fits <code>{filter}</code>. Loosen the filter or clear it.
                </Empty>
              ) : (
                <Empty title="No run yet" code={RUN_CODE}>
                  The first run that logs to this experiment appears here while it is still going.
                </Empty>
              )}
            </Card>
          ) : (
            <RunGrid
              key={lines.question}
              label={`Runs of ${name}`}
              lines={lines}
              count={lines.count}
              columns={columns}
              pins={pins}
              acts={acts}
              selected={selected}
              onSelect={setSelected}
              childrenOf={childrenOf}
              onView={onView}
              foot={(first, last) => (
                <>
                  <span>
                    {lines.count > 0 ? `${number(first)} to ${number(last)} of ` : ""}
                    {total === null ? count(lines.count) : plural(total, "run")}
                    {groupBy && ` in ${plural(groups?.heads.length ?? 0, "group")}`}
                    {(groupFacet?.others ?? 0) > 0 && `, ${count(groupFacet?.others)} in rarer groups are not shown`}
                  </span>
                  <span>
                    {shownIds.length} of {all.length} columns
                  </span>
                </>
              )}
            />
          )}
        </div>
      </div>
    </div>
  );
}
