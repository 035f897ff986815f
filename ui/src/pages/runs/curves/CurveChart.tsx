// Many curves on one canvas: bands, the unsmoothed curve behind, logarithmic axes, a zoom that asks the server for more
// points, a cursor shared with the other charts, and a note of the nearest curves under the pointer.
import { useEffect, useRef } from "react";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { joined } from "../../../charts/series.ts";
import { token, useThemeVersion } from "../../../design/theme.ts";
import { number } from "../../../format/number.ts";
import { clock, dayClock, duration } from "../../../format/time.ts";
import { useSize } from "../../../ui/useSize.ts";
import type { Line, XAxis } from "./arrange.ts";

interface Props {
  label: string;
  lines: Line[];
  axis: XAxis;
  logX: boolean;
  logY: boolean;
  height: number;
  sync: string;
  /** The run whose curve stands out, wherever the pointer is. */
  lit: string | null;
  onZoom: (span: [number, number] | null) => void;
}

const AXIS_FONT = '11px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif';
const MOST_NAMED = 6;

interface Drawn {
  data: uPlot.AlignedData;
  /** For each series of the plot the line it belongs to, or null for bands and raw curves. */
  owners: (number | null)[];
}

function dataOf(lines: Line[]): Drawn {
  const curves: { xs: number[]; ys: (number | null)[] }[] = [];
  const owners: (number | null)[] = [null];
  lines.forEach((line, i) => {
    if (line.raw) {
      curves.push({ xs: line.xs, ys: line.raw });
      owners.push(null);
    }
    curves.push({ xs: line.xs, ys: line.ys });
    owners.push(i);
    if (line.low && line.high) {
      curves.push({ xs: line.xs, ys: line.high }, { xs: line.xs, ys: line.low });
      owners.push(null, null);
    }
  });
  const { xs, columns } = joined(curves);
  return { data: [xs, ...columns] as uPlot.AlignedData, owners };
}

export const xText = (x: number, axis: XAxis): string =>
  axis === "time" ? dayClock(x * 1e6) : axis === "relative" ? duration(x * 1e6) : `step ${number(x)}`;

function options(props: Props, width: number, onCursor: (plot: uPlot) => void): uPlot.Options {
  const { lines, axis, logX, logY, height, sync, lit } = props;
  const few = lines.every((line) => line.xs.length <= 40);
  const series: uPlot.Series[] = [{}];
  const bands: uPlot.Band[] = [];
  for (const line of lines) {
    const dim = lit !== null && lit !== line.id;
    const stroke = token(line.color, dim ? 0.18 : 1);
    if (line.raw) series.push({ stroke: token(line.color, dim ? 0.08 : 0.28), width: 1, points: { show: false } });
    series.push({
      label: line.label,
      stroke,
      width: lit === line.id ? 2.4 : 1.5,
      ...(line.dash ? { dash: line.dash } : {}),
      points: { show: few && !line.raw, size: 4, fill: token("--bg-panel"), stroke },
    });
    if (line.low && line.high) {
      series.push(
        { stroke: "transparent", width: 0, points: { show: false } },
        { stroke: "transparent", width: 0, points: { show: false } },
      );
      bands.push({ series: [series.length - 2, series.length - 1], fill: token(line.color, dim ? 0.04 : 0.16) });
    }
  }
  const base: Partial<uPlot.Axis> = {
    stroke: token("--ink-3"),
    font: AXIS_FONT,
    ticks: { show: false },
    grid: { stroke: token("--line"), width: 1 },
  };
  return {
    width,
    height,
    padding: [10, 12, 0, 0],
    legend: { show: false },
    cursor: {
      points: { size: 6, show: lines.length <= 12 },
      drag: { x: true, y: false, setScale: true },
      focus: { prox: 30 },
      sync: { key: sync, setSeries: false },
    },
    focus: { alpha: lines.length > 1 ? 0.35 : 1 },
    scales: {
      x: {
        time: axis === "time",
        distr: logX ? 3 : 1,
        ...(logX ? { range: (_, low, high) => [Math.max(low, axis === "step" ? 1 : 1e-3), Math.max(high, 2)] as uPlot.Range.MinMax } : {}),
      },
      y: { distr: logY ? 3 : 1, range: (_, low, high) => yRange(low, high, logY) },
    },
    axes: [
      {
        ...base,
        size: 28,
        space: 72,
        grid: { show: false },
        ...(logX ? { filter: decades } : {}),
        values: (_, splits) =>
          splits.map((at) =>
            at === null ? "" : axis === "time" ? clock(at * 1e6) : axis === "relative" ? (at === 0 ? "0" : duration(at * 1e6)) : number(at),
          ),
      },
      {
        ...base,
        size: 54,
        gap: 6,
        ...(logY ? { filter: decades, grid: { ...base.grid, filter: decades } } : {}),
        values: (_, splits) => splits.map((at) => (at === null ? "" : number(at))),
      },
    ],
    series,
    bands,
    hooks: {
      setCursor: [onCursor],
      setSelect: [
        (plot) => {
          if (plot.select.width < 6) return;
          props.onZoom([plot.posToVal(plot.select.left, "x"), plot.posToVal(plot.select.left + plot.select.width, "x")]);
        },
      ],
    },
  };
}

const decades = (_: uPlot, splits: number[]): (number | null)[] =>
  splits.map((at) => (Number.isInteger(Math.round(Math.log10(at) * 1e6) / 1e6) ? at : null));

function yRange(low: number | null, high: number | null, log: boolean): uPlot.Range.MinMax {
  if (low === null || high === null) return [0, 1];
  if (log) return [low > 0 ? low * 0.9 : 1e-6, high > 0 ? high * 1.1 : 1];
  const pad = (high - low || Math.abs(high) || 1) * 0.07;
  return [low - pad, high + pad];
}

export function CurveChart(props: Props) {
  const { label, lines, axis, logX, logY, height, lit } = props;
  const [box, width] = useSize<HTMLDivElement>();
  const host = useRef<HTMLDivElement>(null);
  const note = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const drawn = useRef<Drawn>({ data: [[]], owners: [] });
  const latest = useRef(props);
  useEffect(() => {
    latest.current = props;
  });
  const theme = useThemeVersion();
  const shape = JSON.stringify([
    lines.map((line) => [line.id, line.label, line.color, line.dash, Boolean(line.raw), Boolean(line.low)]),
    axis,
    logX,
    logY,
    lit,
    lines.every((line) => line.xs.length <= 40),
  ]);

  useEffect(() => {
    if (!host.current || width === 0) return undefined;
    const showNote = (made: uPlot): void => {
      const element = note.current;
      if (!element) return;
      const { left, top, idx } = made.cursor;
      if (idx === null || idx === undefined || left === undefined || left < 0) {
        element.hidden = true;
        return;
      }
      const { lines: now, axis: unit } = latest.current;
      const x = made.data[0][idx] as number;
      const near: { line: Line; value: number; far: number }[] = [];
      drawn.current.owners.forEach((owner, s) => {
        const line = owner === null ? undefined : now[owner];
        if (!line) return;
        const column = made.data[s];
        let value: number | null = null;
        for (let d = 0; d < 40 && value === null; d += 1) value = (column?.[idx - d] ?? column?.[idx + d] ?? null) as number | null;
        if (value !== null) near.push({ line, value, far: Math.abs(made.valToPos(value, "y") - (top ?? 0)) });
      });
      const own = made.root.matches(":hover");
      near.sort((a, b) => a.far - b.far);
      const named = near.slice(0, own ? MOST_NAMED : 3).sort((a, b) => b.value - a.value);
      element.replaceChildren(
        Object.assign(document.createElement("div"), { className: "curve-note-x", textContent: xText(x, unit) }),
        ...named.map(({ line, value }) => {
          const row = document.createElement("div");
          row.className = line === near[0]?.line && own ? "curve-note-row is-nearest" : "curve-note-row";
          const swatch = document.createElement("span");
          swatch.className = "series-swatch";
          swatch.style.color = `var(${line.color})`;
          const name = Object.assign(document.createElement("span"), { className: "truncate", textContent: line.label });
          const figure = Object.assign(document.createElement("b"), { textContent: number(value, 4) });
          row.append(swatch, name, figure);
          return row;
        }),
      );
      element.hidden = false;
      const right = left > made.over.clientWidth / 2;
      element.style.left = right ? "" : `${left + 54 + 14}px`;
      element.style.right = right ? `${made.over.clientWidth - left + 12 + 14}px` : "";
      element.style.top = "8px";
    };
    drawn.current = dataOf(latest.current.lines);
    const made = new uPlot(options(latest.current, width, showNote), drawn.current.data, host.current);
    const reset = (): void => latest.current.onZoom(null);
    made.over.addEventListener("dblclick", reset);
    plot.current = made;
    return () => {
      made.destroy();
      plot.current = null;
    };
    // A new canvas only when the shape, the theme or the size changes; new data goes into the one that stands.
  }, [shape, theme, width, height]);
  useEffect(() => {
    if (!plot.current) return;
    drawn.current = dataOf(lines);
    plot.current.setData(drawn.current.data);
  }, [lines]);

  return (
    <div className="curve" ref={box} style={{ height }} role="img" aria-label={`${label} by ${axis}; the table view has the values`}>
      <div ref={host} />
      <div ref={note} className="curve-note" hidden />
    </div>
  );
}
