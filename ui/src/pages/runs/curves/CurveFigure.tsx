// The chart of one metric for one or more runs. Curves of all runs come in one request, thinned to the pixels there are;
// a zoom asks for that range again, so that detail appears.
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import { q } from "../../../api/queries.ts";
import type { Curve, Run } from "../../../api/types.ts";
import { Figure } from "../../../charts/Figure.tsx";
import { SERIES } from "../../../design/theme.ts";
import { plural } from "../../../format/number.ts";
import { Icon } from "../../../ui/Icon.tsx";
import { Failed, Skeleton } from "../../../ui/States.tsx";
import { SingleValues } from "../../experiments/SingleValues.tsx";
import { gather, inOrder, smooth, xsOf, type Line } from "./arrange.ts";
import { CurveChart } from "./CurveChart.tsx";
import type { CurveSettings } from "./settings.ts";
import { useInView } from "./useInView.ts";

const HEIGHT = 214;
const POINTS = 400;

export const seriesOf = (i: number): { color: string; dash?: number[] } => ({
  color: SERIES[i % SERIES.length] as string,
  ...(i >= SERIES.length ? { dash: i >= 2 * SERIES.length ? [2, 3] : [6, 3] } : {}),
});

interface Props {
  metric: string;
  runs: Run[];
  /** The place of each run among all, which gives its colour. */
  place: Map<string, number>;
  settings: CurveSettings;
  live: number | false;
  lit: string | null;
  big?: boolean;
  onBig?: () => void;
}

/** The steps between which all curves have points in a span of the shown axis. */
function stepsWithin(
  curves: Curve[],
  settings: CurveSettings,
  runs: Map<string, Run>,
  [from, to]: [number, number],
): [number, number] | null {
  if (settings.axis === "step") return [Math.floor(from), Math.ceil(to)];
  let low = Infinity;
  let high = -Infinity;
  for (const curve of curves) {
    const xs = xsOf(curve, settings.axis, runs.get(curve.run_id)?.started_us);
    curve.points.forEach(([step], i) => {
      const x = xs[i] as number;
      if (x < from || x > to) return;
      low = Math.min(low, step);
      high = Math.max(high, step);
    });
  }
  return low <= high ? [low, high] : null;
}

export function CurveFigure({ metric, runs, place, settings, live, lit, big = false, onBig }: Props) {
  const [ref, seen] = useInView();
  const [zoom, setZoom] = useState<[number, number] | null>(null);
  const ids = useMemo(() => runs.map((run) => run.id), [runs]);
  const byId = useMemo(() => new Map(runs.map((run) => [run.id, run])), [runs]);
  const query = useQuery({
    ...q.curves(ids, [metric], big ? 2 * POINTS : POINTS, zoom),
    enabled: seen,
    refetchInterval: live,
    placeholderData: keepPreviousData,
  });
  const curves = query.data?.curves;
  const { lines, total, thinned, once } = useMemo(() => {
    const known = (curves ?? []).filter((curve) => curve.points.length > 0);
    let made: Line[] = known.map((curve) => {
      const run = byId.get(curve.run_id);
      const ordered = inOrder(
        xsOf(curve, settings.axis, settings.axis === "relative" ? run?.started_us : undefined),
        curve.points.map(([, , value]) => value),
      );
      return { id: curve.run_id, label: run?.name ?? curve.run_id.slice(0, 8), ...seriesOf(place.get(curve.run_id) ?? 0), ...ordered };
    });
    if (settings.group) {
      const keyOf = (line: Line): string =>
        byId.get(line.id)?.params[settings.group] ?? byId.get(line.id)?.tags[settings.group] ?? "no value";
      made = gather(made, keyOf, (i) => seriesOf(i).color, settings.band);
    }
    return {
      lines: made.map((line) => smooth(line, settings.smooth)),
      total: known.reduce((sum, curve) => sum + curve.total, 0),
      thinned: known.some((curve) => curve.downsampled),
      once: zoom === null && known.every((curve) => curve.total <= 1),
    };
  }, [curves, byId, place, settings.axis, settings.group, settings.band, settings.smooth, zoom === null]);
  const sheet = () => ({
    head: ["run", "metric", "step", "time", "value"],
    rows: (curves ?? []).flatMap((curve) =>
      curve.points.map(([step, at, value]): (string | number | null)[] => [
        byId.get(curve.run_id)?.name ?? curve.run_id,
        metric,
        step,
        new Date(at / 1000).toISOString(),
        value,
      ]),
    ),
  });
  const onZoom = (span: [number, number] | null): void => {
    if (span === null) setZoom(null);
    else {
      const steps = stepsWithin(curves ?? [], settings, byId, span);
      if (steps) setZoom(steps);
    }
  };
  const height = big ? Math.max(360, innerHeight - 330) : HEIGHT;
  return (
    <div ref={ref} className="metric-cell">
      <Figure
        title={metric}
        note={curves ? `${plural(total, "point")}${thinned ? ", thinned" : ""}${zoom ? `, steps ${zoom[0]} to ${zoom[1]}` : ""}` : ""}
        name={metric}
        sheet={sheet}
        actions={
          <>
            {zoom && (
              <button
                type="button"
                className="icon-button"
                onClick={() => setZoom(null)}
                aria-label={`Show all of ${metric}`}
                title="Whole range"
              >
                <Icon name="back" size={14} />
              </button>
            )}
            {onBig && (
              <button
                type="button"
                className="icon-button"
                onClick={onBig}
                aria-label={big ? "Back to all charts" : `Enlarge ${metric}`}
                title={big ? "All charts" : "Enlarge"}
              >
                <Icon name={big ? "minus" : "plus"} size={14} />
              </button>
            )}
          </>
        }
      >
        {query.error && !curves ? (
          <Failed error={query.error} retry={() => void query.refetch()} />
        ) : !curves || !seen ? (
          <Skeleton height={height} />
        ) : lines.length === 0 ? (
          <p className="dim curve-none">No point in this range.</p>
        ) : once ? (
          <SingleValues values={lines.map((line) => ({ run: line.label, value: line.ys[0] ?? null, color: line.color }))} />
        ) : (
          <CurveChart
            label={metric}
            lines={lines}
            axis={settings.axis}
            logX={settings.logX}
            logY={settings.logY}
            height={height}
            sync={`curves-${settings.axis}`}
            lit={settings.group ? null : lit}
            onZoom={onZoom}
          />
        )}
      </Figure>
    </div>
  );
}
