// Parameters against outcomes over many runs: parallel coordinates, a scatter of any two, importance.
import { useRouter } from "@tanstack/react-router";
import { useMemo, useState } from "react";
import type { Run } from "../../../api/types.ts";
import { paths } from "../../../paths.ts";
import { Card } from "../../../ui/Card.tsx";
import { Empty } from "../../../ui/States.tsx";
import { Popover } from "../../../ui/Popover.tsx";
import { useUrl } from "../../../ui/useUrl.ts";
import { columnOf, packIds, unpackIds } from "../table/columns.ts";
import { dimension } from "./dimension.ts";
import { ImportanceBars } from "./ImportanceBars.tsx";
import { Parallel } from "./Parallel.tsx";
import "../curves/curves.css";
import "./plots.css";
import { Scatter } from "./Scatter.tsx";

const MOST_AXES = 8;

interface Props {
  runs: Run[];
  experiment: string | null;
  filter: string;
  onFilter: ((filter: string) => void) | null;
}

export function Plots({ runs, experiment, filter, onFilter }: Props) {
  const [search, setSearch] = useUrl();
  const router = useRouter();
  const [lit, setLit] = useState<string | null>(null);
  const metrics = useMemo(
    () => [...new Set(runs.flatMap((run) => Object.keys(run.metrics)))].filter((key) => !key.startsWith("system/")).sort(),
    [runs],
  );
  const params = useMemo(() => {
    const values = new Map<string, Set<string>>();
    for (const run of runs)
      for (const [key, value] of Object.entries(run.params)) {
        const seen = values.get(key) ?? new Set();
        values.set(key, seen.add(value));
      }
    const isNumber = (seen: Set<string>): boolean => [...seen].every((value) => value.trim() !== "" && Number.isFinite(Number(value)));
    // What never differs tells nothing; numbers come first.
    return [...values]
      .filter(([, seen]) => seen.size > 1)
      .map(([key, seen]) => ({ key, number: isNumber(seen) }))
      .sort((a, b) => Number(b.number) - Number(a.number) || a.key.localeCompare(b.key))
      .map(({ key }) => key);
  }, [runs]);
  const choices = useMemo(() => [...params.map((key) => `p:${key}`), ...metrics.map((key) => `m:${key}`)], [params, metrics]);
  const known = new Set(choices);
  const target = known.has(`m:${search["target"] ?? ""}`)
    ? (search["target"] ?? "")
    : (metrics.find((key) => /auc|acc|loss|score|rmse/i.test(key)) ?? metrics[0] ?? "");
  const axesParam = search["axes"];
  const axes = useMemo(() => {
    const chosen = unpackIds(axesParam).filter((id) => choices.includes(id));
    return chosen.length ? chosen : [...params.slice(0, MOST_AXES - 1).map((key) => `p:${key}`), ...(target ? [`m:${target}`] : [])];
  }, [axesParam, choices, params, target]);
  const dimensions = useMemo(() => axes.map((id) => dimension(id, runs)), [axes, runs]);
  const color = useMemo(() => (target ? dimension(`m:${target}`, runs) : null), [target, runs]);
  const xId = known.has(search["sx"] ?? "") ? (search["sx"] ?? "") : (choices[0] ?? "");
  const yId = known.has(search["sy"] ?? "") ? (search["sy"] ?? "") : `m:${target}`;
  const x = useMemo(() => (xId ? dimension(xId, runs) : null), [xId, runs]);
  const y = useMemo(() => (yId ? dimension(yId, runs) : null), [yId, runs]);
  if (runs.length === 0 || choices.length === 0 || !target)
    return (
      <Card>
        <Empty title="Nothing to plot" code={'mlflow.log_params({"depth": 6}); mlflow.log_metric("loss", 0.41)'}>
          Runs with metrics, and with parameters that differ, are drawn here against each other.
        </Empty>
      </Card>
    );
  const open = (id: string): void => router.history.push(paths.run(id));
  const toggle = (id: string): void => setSearch({ axes: packIds(axes.includes(id) ? axes.filter((each) => each !== id) : [...axes, id]) });
  const select = (label: string, value: string, key: string) => (
    <select
      className="select select-inline"
      aria-label={label}
      value={value}
      onChange={(event) => setSearch({ [key]: event.target.value })}
    >
      {choices.map((id) => (
        <option key={id} value={id}>
          {columnOf(id).name}
        </option>
      ))}
    </select>
  );
  return (
    <div className="stack">
      <div className="toolbar">
        <label className="toggle">
          Outcome
          <select
            className="select select-inline"
            value={target}
            onChange={(event) => setSearch({ target: event.target.value, axes: undefined })}
          >
            {metrics.map((key) => (
              <option key={key}>{key}</option>
            ))}
          </select>
        </label>
        <Popover label={`Axes ${axes.length}`} icon="columns">
          {() => (
            <div className="columns-panel">
              {choices.slice(0, 200).map((id) => (
                <div key={id} className="col-line">
                  <label>
                    <input type="checkbox" checked={axes.includes(id)} onChange={() => toggle(id)} />
                    <span className="truncate">{columnOf(id).name}</span>
                    <span className="faint small">{id[0] === "m" ? "metric" : ""}</span>
                  </label>
                </div>
              ))}
            </div>
          )}
        </Popover>
        <span className="scale" aria-hidden>
          <span className="faint small">{color?.ticks[0]?.label}</span>
          <span className="scale-bar" />
          <span className="faint small">{color?.ticks.at(-1)?.label}</span>
        </span>
      </div>
      <Parallel runs={runs} dimensions={dimensions} color={color} onFilter={onFilter} onOpen={open} lit={lit} onLit={setLit} />
      <div className="grid-2">
        {x && y && (
          <Scatter
            runs={runs}
            x={x}
            y={y}
            color={color}
            surface={search["surface"] === "1"}
            lit={lit}
            onLit={setLit}
            onOpen={open}
            controls={
              <>
                {select("Horizontal", xId, "sx")}
                <span className="faint">by</span>
                {select("Vertical", yId, "sy")}
                <label className="toggle">
                  <input
                    type="checkbox"
                    checked={search["surface"] === "1"}
                    onChange={() => setSearch({ surface: search["surface"] === "1" ? undefined : "1" })}
                  />
                  Surface
                </label>
              </>
            }
          />
        )}
        {experiment && (
          <ImportanceBars
            experiment={experiment}
            metric={target}
            filter={filter}
            onPick={(parameter) => setSearch({ sx: `p:${parameter}`, sy: `m:${target}` })}
          />
        )}
      </div>
    </div>
  );
}
