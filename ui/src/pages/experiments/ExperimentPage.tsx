// The run table of an experiment: filter, sort, columns and selection in the URL; selected runs lead to the comparison.
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { useMemo, useRef, useState } from "react";
import { flat, q } from "../../api/queries.ts";
import { count, plural } from "../../format/number.ts";
import { paths } from "../../paths.ts";
import { A } from "../../ui/A.tsx";
import { Button } from "../../ui/Button.tsx";
import { Card } from "../../ui/Card.tsx";
import { Grid } from "../../ui/Grid.tsx";
import { Page } from "../../ui/Page.tsx";
import { Empty, Failed, Skeleton } from "../../ui/States.tsx";
import { usePart, useUrl } from "../../ui/useUrl.ts";
import { useSteady } from "../../ui/useSteady.ts";
import { RUN_CODE } from "./code.ts";
import { ColumnPicker } from "./ColumnPicker.tsx";
import { catalogue, packIds, unpackIds, usual } from "./columns.tsx";
import "./experiments.css";
import { FilterBar } from "./FilterBar.tsx";

const MOST_COMPARED = 12;

export function ExperimentPage() {
  const id = usePart("id");
  const [search, setSearch] = useUrl();
  const [hold, setHold] = useState(false);
  const anchor = useRef<string | null>(null);
  const experiment = useQuery(q.experiment(id));

  const desc = search["sort"]?.startsWith("-") ?? false;
  const sortId = search["sort"]?.replace(/^-/, "");
  const sort = sortId ? { id: sortId, desc } : null;
  const status = search["status"] ?? "";
  const filter = [search["filter"], status && `attributes.status = '${status}'`].filter(Boolean).join(" and ");
  const orderBy = useMemo(() => orderOf(sortId, desc), [sortId, desc]);
  const query = useInfiniteQuery(q.runs({ experiment_id: id, filter, order_by: orderBy }));
  const loaded = useMemo(() => flat(query.data), [query.data]);
  const [runs, waiting, admit] = useSteady(loaded, (run) => run.id, hold && query.data?.pages.length === 1, `${id}|${filter}|${orderBy}`);
  const names = useQuery(q.metricNames(id));
  const first = query.data?.pages[0]?.items;
  const keys = useMemo(() => catalogue(first ?? [], names.data?.items ?? []), [first, names.data]);
  const chosen = useMemo(() => unpackIds(search["cols"]), [search["cols"]]);
  const shown = chosen.length ? chosen : usual(keys);
  const selected = useMemo(() => new Set(unpackIds(search["sel"])), [search["sel"]]);

  const select = (next: Set<string>): void => setSearch({ sel: packIds([...next]) });
  const toggle = (key: string, range: boolean): void => {
    const next = new Set(selected);
    const from = runs.findIndex((run) => run.id === anchor.current);
    const to = runs.findIndex((run) => run.id === key);
    if (range && from >= 0) for (const run of runs.slice(Math.min(from, to), Math.max(from, to) + 1)) next.add(run.id);
    else if (!next.delete(key)) next.add(key);
    anchor.current = key;
    select(next);
  };
  const name = experiment.data?.name ?? id;
  return (
    <Page
      title={name}
      crumbs={[{ label: "Experiments", href: "/experiments" }]}
      meta={
        <span>
          experiment <code>{id}</code>
        </span>
      }
      wide
      actions={<ColumnPicker columns={keys} shown={shown} onChange={(ids) => setSearch({ cols: ids ? packIds(ids) : undefined })} />}
    >
      <div className="stack stack-s">
        <div className="toolbar">
          <FilterBar
            filter={search["filter"] ?? ""}
            status={status}
            error={query.error}
            onFilter={(text) => setSearch({ filter: text })}
            onStatus={(value) => setSearch({ status: value })}
          />
          {selected.size > 0 && (
            <div className="row selection">
              <span>
                <b>{selected.size}</b> selected
              </span>
              <A className="btn btn-primary" href={paths.compare([...selected].slice(0, MOST_COMPARED))}>
                Compare{selected.size > MOST_COMPARED && ` first ${MOST_COMPARED}`}
              </A>
              <Button kind="quiet" onClick={() => select(new Set())}>
                Clear
              </Button>
            </div>
          )}
          {waiting > 0 && (
            <div className="fresh">
              <button type="button" onClick={admit}>
                {plural(waiting, "new run")}
              </button>
            </div>
          )}
        </div>
        {query.error && !query.data ? (
          <Card>
            <Failed error={query.error} retry={() => void query.refetch()} />
          </Card>
        ) : query.isPending ? (
          <Card>
            <Skeleton rows={12} />
          </Card>
        ) : runs.length === 0 ? (
          <Card>
            {filter ? (
              <Empty title="No run matches">
                Nothing in {name} fits “{filter}”. Loosen the filter or clear it.
              </Empty>
            ) : (
              <Empty title="No run yet" code={RUN_CODE}>
                The first run that logs to this experiment appears here while it is still going.
              </Empty>
            )}
          </Card>
        ) : (
          <div onPointerEnter={() => setHold(true)} onPointerLeave={() => setHold(false)}>
            <Grid
              label={`Runs of ${name}`}
              rows={runs}
              columns={keys}
              shown={shown}
              rowKey={(run) => run.id}
              href={(run) => paths.run(run.id)}
              sort={sort}
              onSort={(column) => setSearch({ sort: sortId === column ? (desc ? column : undefined) : `-${column}` })}
              selected={selected}
              onToggle={toggle}
              more={{ has: query.hasNextPage, busy: query.isFetchingNextPage, load: () => void query.fetchNextPage() }}
              foot={`${count(runs.length)} runs loaded${query.hasNextPage ? ", more as you scroll" : ""} · ${shown.length} of ${keys.length} columns`}
            />
          </div>
        )}
      </div>
    </Page>
  );
}

/** MLflow's order_by words for a column id such as "m:loss". */
function orderOf(id: string | undefined, desc: boolean): string {
  if (!id) return "";
  const fixed: Record<string, string> = { name: "attributes.run_name", started: "attributes.start_time" };
  const kinds: Record<string, string> = { m: "metrics", p: "params", t: "tags" };
  const word = fixed[id] ?? `${kinds[id.slice(0, 1)] ?? "attributes"}.\`${id.slice(2)}\``;
  return `${word} ${desc ? "DESC" : "ASC"}`;
}
