// Lines over time or steps on a canvas: bands for intervals, gaps for missing data, reference line, marked moments.
import { useEffect, useRef } from "react";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { token, useThemeVersion } from "../design/theme.ts";
import { number } from "../format/number.ts";
import { clock, day, dayClock } from "../format/time.ts";
import { useSize } from "../ui/useSize.ts";
import { drawMarkers, type Marker } from "./markers.ts";

export interface Series {
  label: string;
  color: string;
  values: (number | null | undefined)[];
  low?: (number | null)[];
  high?: (number | null)[];
  dash?: number[];
  width?: number;
}
interface Props {
  label: string;
  xs: number[];
  series: Series[];
  time?: boolean;
  unit?: string;
  xLabel?: string;
  height?: number;
  log?: boolean;
  markers?: Marker[];
  reference?: { value: number; label: string };
  sync?: string;
  zero?: boolean;
  legend?: boolean;
  onPick?: (index: number) => void;
}

const AXIS_FONT = '11px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif';

function options(props: Props, width: number, height: number, onCursor: (index: number | null) => void): uPlot.Options {
  const { series, time = false, unit, log = false, markers = [], reference, sync, zero = false } = props;
  const few = props.xs.length <= 45;
  const drawn: uPlot.Series[] = [{}];
  const bands: uPlot.Band[] = [];
  for (const line of series) {
    const stroke = token(line.color);
    drawn.push({
      label: line.label,
      stroke,
      width: line.width ?? 1.6,
      spanGaps: false,
      ...(line.dash ? { dash: line.dash } : {}),
      points: { show: few, size: 5, fill: token("--bg-panel"), stroke },
    });
    if (line.low && line.high) {
      drawn.push(
        { label: `${line.label} high`, stroke: "transparent", width: 0, points: { show: false } },
        { label: `${line.label} low`, stroke: "transparent", width: 0, points: { show: false } },
      );
      bands.push({ series: [drawn.length - 2, drawn.length - 1], fill: token(line.color, 0.16) });
    }
  }
  const axis: Partial<uPlot.Axis> = {
    stroke: token("--ink-3"),
    font: AXIS_FONT,
    ticks: { show: false },
    grid: { stroke: token("--line"), width: 1 },
  };
  return {
    width,
    height,
    padding: [markers.length ? 18 : 10, 10, 0, 0],
    legend: { show: false },
    cursor: {
      points: { size: 7 },
      drag: { x: true, y: false },
      focus: { prox: 24 },
      ...(sync ? { sync: { key: sync, setSeries: false } } : {}),
    },
    focus: { alpha: 0.3 },
    scales: {
      x: { time },
      y: { distr: log ? 3 : 1, range: (_, low, high) => yRange(low, high, log, zero, reference?.value) },
    },
    axes: [
      {
        ...axis,
        size: 28,
        space: 80,
        grid: { show: false },
        values: (_, splits, __, ___, step) => splits.map((at) => (time ? timeTick(at, step) : number(at))),
      },
      {
        ...axis,
        size: 56,
        gap: 6,
        ...(log ? { filter: decades, grid: { ...axis.grid, filter: decades } } : {}),
        values: (_, splits) => splits.map((at) => (at === null ? "" : number(at) + (unit === "%" ? "\u202f%" : ""))),
      },
    ],
    series: drawn,
    bands,
    hooks: {
      setCursor: [(plot) => onCursor(plot.cursor.idx ?? null)],
      draw: [(plot) => drawMarkers(plot, markers, reference)],
    },
  };
}

const decades = (_: uPlot, splits: number[]): (number | null)[] =>
  splits.map((at) => (Number.isInteger(Math.round(Math.log10(at) * 1e6) / 1e6) ? at : null));

/** Clock times inside a day, with seconds where ticks are that close; dates from midnight to midnight. */
function timeTick(seconds: number, step: number): string {
  const at = new Date(seconds * 1000);
  if (step < 60) return at.toLocaleTimeString("en-GB");
  return step >= 86_400 || (at.getHours() === 0 && at.getMinutes() === 0) ? day(seconds * 1e6) : clock(seconds * 1e6);
}

function yRange(low: number | null, high: number | null, log: boolean, zero: boolean, reference: number | undefined): uPlot.Range.MinMax {
  if (low === null || high === null) return [0, 1];
  if (log) return [low > 0 ? low * 0.9 : 1e-6, high > 0 ? high * 1.1 : 1];
  const floor = Math.min(low, reference ?? low, zero ? 0 : low);
  const top = Math.max(high, reference ?? high);
  const pad = (top - floor || Math.abs(top) || 1) * 0.08;
  return [floor === 0 ? 0 : floor - pad, top + pad];
}

function data(props: Props): uPlot.AlignedData {
  const columns: (number | null | undefined)[][] = [];
  for (const line of props.series) {
    columns.push(line.values);
    if (line.low && line.high) columns.push(line.high, line.low);
  }
  return [props.xs, ...columns] as uPlot.AlignedData;
}

export function SeriesChart(props: Props) {
  const { label, xs, series, height = 220, time = false, unit = "", legend = true, xLabel } = props;
  const [box, width] = useSize<HTMLDivElement>();
  const host = useRef<HTMLDivElement>(null);
  const readout = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const latest = useRef(props);
  useEffect(() => {
    latest.current = props;
  });
  const theme = useThemeVersion();
  const shape = JSON.stringify([
    series.map((line) => [line.label, line.color, Boolean(line.low), line.dash]),
    time,
    unit,
    props.log,
    props.markers,
    props.reference,
    props.zero,
    xs.length <= 45,
  ]);

  useEffect(() => {
    if (!host.current || width === 0) return undefined;
    const show = (index: number | null): void => {
      const now = latest.current;
      const at = index ?? now.xs.findLastIndex((_, i) => now.series.some((line) => typeof line.values[i] === "number"));
      const x = now.xs[at];
      const cells = readout.current?.querySelectorAll("[data-value]");
      now.series.forEach((line, i) => {
        const value = line.values[at];
        const low = line.low?.[at];
        const high = line.high?.[at];
        const cell = cells?.[i];
        if (cell)
          cell.textContent =
            number(value) +
            (low !== undefined && low !== null && high !== undefined && high !== null ? ` (${number(low)} to ${number(high)})` : "");
      });
      const where = readout.current?.querySelector("[data-x]");
      if (where) where.textContent = x === undefined ? "" : now.time ? dayClock(x * 1e6) : `${now.xLabel ?? "step"} ${number(x)}`;
    };
    const made = new uPlot(options(latest.current, width, height, show), data(latest.current), host.current);
    made.over.addEventListener("click", () => {
      if (made.cursor.idx !== null && made.cursor.idx !== undefined) latest.current.onPick?.(made.cursor.idx);
    });
    plot.current = made;
    show(null);
    return () => {
      made.destroy();
      plot.current = null;
    };
    // A new canvas only when the shape, the theme or the size changes; new data goes into the one that stands.
  }, [shape, theme, width, height]);
  useEffect(() => {
    plot.current?.setData(data(latest.current));
  }, [xs, series]);

  return (
    <div className="series">
      {legend && (
        <div className="series-legend" ref={readout}>
          {series.map((line) => (
            <span key={line.label} className="series-key">
              <span className={`series-swatch ${line.dash ? "is-dashed" : ""}`} style={{ color: `var(${line.color})` }} aria-hidden />
              <span className="truncate">{line.label}</span> <b data-value="" />
              {unit && unit !== "%" && <span className="unit">{unit}</span>}
              {unit === "%" && <span className="unit">%</span>}
            </span>
          ))}
          <span className="faint" data-x="" />
        </div>
      )}
      <div
        ref={box}
        style={{ height }}
        role="img"
        aria-label={`${label}${unit ? `, ${unit}` : ""}, by ${time ? "time" : (xLabel ?? "step")}; the table view has the values`}
      >
        <div ref={host} />
      </div>
    </div>
  );
}
