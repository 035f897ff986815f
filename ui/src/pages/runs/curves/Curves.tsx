// All curves of one or more runs: a chart for each metric, in sections by the part of the name before the stroke, with the
// settings above that all of them share. Running runs are asked for again, ever more slowly.
import { useQuery } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import { q } from "../../../api/queries.ts";
import type { Run } from "../../../api/types.ts";
import { exact, figure as shownFigure, plural } from "../../../format/number.ts";
import { Card } from "../../../ui/Card.tsx";
import { Icon } from "../../../ui/Icon.tsx";
import { Empty, Skeleton } from "../../../ui/States.tsx";
import { CurveFigure, seriesOf } from "./CurveFigure.tsx";
import "./curves.css";
import { useCurveSettings } from "./settings.ts";

const AXES = [
  ["step", "Step"],
  ["relative", "Relative"],
  ["time", "Time"],
] as const;
const FIRST = 24;
const FEW = 6;
const MOST_ASKED = 1000;

/** The metrics that were logged once a run at most, which are figures and not curves. */
function useOnce(runs: Run[], metrics: string[]): Set<string> | null {
  const asked = useMemo(
    () => runs.slice(0, Math.max(1, Math.floor(MOST_ASKED / Math.max(1, metrics.length)))).map((run) => run.id),
    [runs, metrics],
  );
  const few = metrics.length <= MOST_ASKED;
  const query = useQuery({ ...q.curves(asked, metrics, 2), enabled: few && metrics.length > 0, staleTime: 20_000 });
  return useMemo(() => {
    if (!few || query.error) return new Set();
    if (!query.data) return null;
    const long = new Set(query.data.curves.filter((curve) => curve.total > 1).map((curve) => curve.key));
    return new Set(metrics.filter((metric) => !long.has(metric)));
  }, [query.data, query.error, metrics, few]);
}

interface Props {
  runs: Run[];
  /** Which metrics belong here. */
  keep?: (metric: string) => boolean;
  empty?: React.ReactNode;
}

const sectionOf = (metric: string): string => (metric.includes("/") ? metric.slice(0, metric.lastIndexOf("/")) : "");

export function Curves({ runs, keep, empty }: Props) {
  const [settings, search, setSearch] = useCurveSettings();
  const [text, setText] = useState("");
  const [lit, setLit] = useState<string | null>(null);
  const [hidden, setHidden] = useState<Set<string>>(new Set());
  const [closed, setClosed] = useState<Set<string>>(new Set());
  const [long, setLong] = useState<Set<string>>(new Set());
  const place = useMemo(() => new Map(runs.map((run, i) => [run.id, i])), [runs]);
  const shown = useMemo(() => runs.filter((run) => !hidden.has(run.id)), [runs, hidden]);
  const metrics = useMemo(
    () => [...new Set(runs.flatMap((run) => Object.keys(run.metrics)))].filter((metric) => keep?.(metric) ?? true).sort(),
    [runs, keep],
  );
  const groupKeys = useMemo(() => {
    if (runs.length < 3) return [];
    const keys = new Set(
      runs.flatMap((run) => [...Object.keys(run.params), ...Object.keys(run.tags).filter((key) => !key.startsWith("mlflow."))]),
    );
    return [...keys].sort();
  }, [runs]);
  const once = useOnce(runs, metrics);
  const live = shown.some((run) => run.status === "RUNNING") ? 4000 : false;
  const big = search["metric"];
  let matches: (metric: string) => boolean;
  try {
    const pattern = new RegExp(text, "i");
    matches = (metric) => pattern.test(metric);
  } catch {
    matches = (metric) => metric.toLowerCase().includes(text.toLowerCase());
  }
  if (metrics.length === 0)
    return (
      <Card>
        {empty ?? (
          <Empty title="No metric yet" code={'mlflow.log_metric("loss", 0.41, step=1)'}>
            Each metric that is logged gets a chart here while the run is going.
          </Empty>
        )}
      </Card>
    );
  const sections = new Map<string, string[]>();
  const figures = metrics.filter((metric) => once?.has(metric) && matches(metric));
  const [single] = runs;
  // Curves first, figures that were logged once below them.
  const charts = metrics
    .filter((each) => matches(each) && !(runs.length === 1 && once?.has(each)))
    .sort((a, b) => Number(once?.has(a)) - Number(once?.has(b)));
  for (const metric of charts) {
    const section = charts.length > FEW ? sectionOf(metric) : "";
    sections.set(section, [...(sections.get(section) ?? []), metric]);
  }
  const figure = (metric: string) => (
    <CurveFigure
      key={metric}
      metric={metric}
      runs={shown.filter((run) => run.metrics[metric])}
      place={place}
      settings={settings}
      live={live}
      lit={lit}
      big={big === metric}
      onBig={() => setSearch({ metric: big === metric ? undefined : metric })}
    />
  );
  return (
    <div className="stack">
      <div className="toolbar">
        {metrics.length > 4 && !big && (
          <input
            className="input"
            data-filter=""
            placeholder="Find metrics, also by pattern: val|test"
            aria-label="Find metrics"
            value={text}
            onChange={(event) => setText(event.target.value)}
          />
        )}
        <div className="segments" role="group" aria-label="Horizontal axis">
          {AXES.map(([id, label]) => (
            <button
              key={id}
              type="button"
              aria-pressed={settings.axis === id}
              onClick={() => setSearch({ x: id === "step" ? undefined : id })}
            >
              {label}
            </button>
          ))}
        </div>
        <label className="toggle">
          <input type="checkbox" checked={settings.logX} onChange={() => setSearch({ logx: settings.logX ? undefined : "1" })} />
          Log x
        </label>
        <label className="toggle">
          <input type="checkbox" checked={settings.logY} onChange={() => setSearch({ log: settings.logY ? undefined : "1" })} />
          Log y
        </label>
        <label className="toggle">
          Smoothing
          <input
            type="range"
            min={0}
            max={0.99}
            step={0.01}
            value={settings.smooth}
            onChange={(event) => setSearch({ smooth: Number(event.target.value) > 0 ? event.target.value : undefined })}
          />
          <span className="num smooth-value">{settings.smooth.toFixed(2)}</span>
        </label>
        {groupKeys.length > 0 && (
          <>
            <select
              className="select select-inline"
              aria-label="Group curves by"
              value={settings.group}
              onChange={(event) => setSearch({ by: event.target.value || undefined })}
            >
              <option value="">A curve for each run</option>
              {groupKeys.map((key) => (
                <option key={key} value={key}>
                  Mean by {key}
                </option>
              ))}
            </select>
            {settings.group && (
              <select
                className="select select-inline"
                aria-label="Band"
                value={settings.band}
                onChange={(event) => setSearch({ band: event.target.value === "range" ? "range" : undefined })}
              >
                <option value="std">± one standard deviation</option>
                <option value="range">least to greatest</option>
              </select>
            )}
          </>
        )}
      </div>
      {runs.length > 1 && !settings.group && (
        <ul className="curve-runs" aria-label="Runs">
          {runs.map((run, i) => {
            const { color, dash } = seriesOf(i);
            const off = hidden.has(run.id);
            return (
              <li key={run.id}>
                <button
                  type="button"
                  aria-pressed={!off}
                  title={off ? "Show" : "Hide"}
                  onPointerEnter={() => setLit(run.id)}
                  onPointerLeave={() => setLit(null)}
                  onFocus={() => setLit(run.id)}
                  onBlur={() => setLit(null)}
                  onClick={() => {
                    const next = new Set(hidden);
                    if (!next.delete(run.id)) next.add(run.id);
                    setHidden(next);
                  }}
                >
                  <span className={`series-swatch ${dash ? "is-dashed" : ""}`} style={{ color: `var(${color})` }} aria-hidden />
                  <span className="truncate">{run.name}</span>
                </button>
              </li>
            );
          })}
        </ul>
      )}
      {!big && runs.length === 1 && single && figures.length > 0 && (
        <ul className="value-tiles" aria-label="Metrics that were logged once">
          {figures.map((metric) => (
            <li key={metric} title={exact(single.metrics[metric]?.value)}>
              <span className="truncate dim">{metric}</span>
              <b>{shownFigure(single.metrics[metric]?.value, 4)}</b>
            </li>
          ))}
        </ul>
      )}
      {big && metrics.includes(big) ? (
        figure(big)
      ) : once === null ? (
        <Skeleton height={240} />
      ) : sections.size === 0 ? (
        figures.length === 0 && <p className="dim">No metric is called so.</p>
      ) : (
        [...sections].map(([section, list]) => (
          <section key={section} className="stack stack-s">
            {(sections.size > 1 || section) && (
              <h3 className="curve-section">
                <button
                  type="button"
                  aria-expanded={!closed.has(section)}
                  onClick={() => {
                    const next = new Set(closed);
                    if (!next.delete(section)) next.add(section);
                    setClosed(next);
                  }}
                >
                  <span className={`rg-caret ${closed.has(section) ? "" : "is-open"}`}>
                    <Icon name="right" size={12} />
                  </span>
                  {section || "Metrics"} <span className="faint">{list.length}</span>
                </button>
              </h3>
            )}
            {!closed.has(section) && <div className="metric-grid">{(long.has(section) ? list : list.slice(0, FIRST)).map(figure)}</div>}
            {!closed.has(section) && list.length > FIRST && !long.has(section) && (
              <div className="fresh">
                <button type="button" onClick={() => setLong(new Set([...long, section]))}>
                  {plural(list.length - FIRST, "more chart")}
                </button>
              </div>
            )}
          </section>
        ))
      )}
    </div>
  );
}
