// Parallel coordinates: a line for each run through its parameters to its metric, coloured by the metric. Drag along an axis
// to keep a range; the runs that are left can become the filter.
import { useEffect, useMemo, useRef, useState, type KeyboardEvent, type PointerEvent } from "react";
import type { Run } from "../../../api/types.ts";
import { Figure } from "../../../charts/Figure.tsx";
import { token, useThemeVersion } from "../../../design/theme.ts";
import { figure, plural } from "../../../format/number.ts";
import { Button } from "../../../ui/Button.tsx";
import { useSize } from "../../../ui/useSize.ts";
import { filterOf, within, type Brushes, type Dimension } from "./dimension.ts";
import { colorAt } from "./scale.ts";

const HEIGHT = 380;
const TOP = 44;
const FOOT = 22;
const SIDE = 46;

interface Props {
  runs: Run[];
  dimensions: Dimension[];
  color: Dimension | null;
  onFilter: ((filter: string) => void) | null;
  onOpen: (id: string) => void;
  lit: string | null;
  onLit: (id: string | null) => void;
}

export function Parallel({ runs, dimensions, color, onFilter, onOpen, lit, onLit }: Props) {
  const [box, width] = useSize<HTMLDivElement>();
  const canvas = useRef<HTMLCanvasElement>(null);
  const [brushes, setBrushes] = useState<Brushes>({});
  const [note, setNote] = useState<{ x: number; y: number } | null>(null);
  const theme = useThemeVersion();
  const inner = HEIGHT - TOP - FOOT;
  const full = Math.max(width, dimensions.length * 92);
  const xs = useMemo(
    () => dimensions.map((_, i) => (dimensions.length === 1 ? full / 2 : SIDE + ((full - 2 * SIDE) * i) / (dimensions.length - 1))),
    [dimensions, full],
  );
  const live = useMemo(
    () => Object.fromEntries(Object.entries(brushes).filter(([id]) => dimensions.some((each) => each.id === id))),
    [brushes, dimensions],
  );
  const inside = useMemo(() => within(dimensions, live, runs.length), [dimensions, live, runs.length]);
  const kept = inside.filter(Boolean).length;
  const yOf = (place: number): number => TOP + (1 - place) * inner;

  useEffect(() => {
    const element = canvas.current;
    if (!element || full === 0) return;
    const ratio = devicePixelRatio || 1;
    element.width = full * ratio;
    element.height = HEIGHT * ratio;
    const context = element.getContext("2d");
    if (!context) return;
    context.scale(ratio, ratio);
    context.clearRect(0, 0, full, HEIGHT);
    const draw = (i: number, style: string, lineWidth: number): void => {
      context.strokeStyle = style;
      context.lineWidth = lineWidth;
      context.beginPath();
      let pen = false;
      dimensions.forEach((each, d) => {
        const place = each.places[i];
        if (place === null || place === undefined) {
          pen = false;
          return;
        }
        const x = xs[d] as number;
        const y = TOP + (1 - place) * inner;
        if (pen) {
          const before = xs[d - 1] as number;
          const last = dimensions[d - 1]?.places[i] ?? 0;
          const middle = (before + x) / 2;
          context.bezierCurveTo(middle, TOP + (1 - last) * inner, middle, y, x, y);
        } else context.moveTo(x, y);
        pen = true;
      });
      context.stroke();
    };
    const alpha = runs.length > 400 ? 0.3 : runs.length > 80 ? 0.5 : 0.8;
    const faint = token("--ink-3", 0.1);
    for (let i = 0; i < runs.length; i += 1) if (!inside[i]) draw(i, faint, 1);
    for (let i = 0; i < runs.length; i += 1)
      if (inside[i]) draw(i, colorAt(color?.places[i] ?? 0.3, color?.places[i] === null ? 0.15 : alpha), 1.2);
    const at = runs.findIndex((run) => run.id === lit);
    if (at >= 0) draw(at, token("--ink"), 2.5);
  }, [runs, dimensions, color, inside, xs, full, inner, lit, theme]);

  const nearest = (event: PointerEvent<HTMLElement>): string | null => {
    const rect = event.currentTarget.getBoundingClientRect();
    const x = event.clientX - rect.left;
    const y = event.clientY - rect.top;
    const d = xs.findIndex((at) => at > x);
    const [left, right] = d <= 0 ? [0, 0] : [d - 1, d];
    const share = right === left ? 0 : (x - (xs[left] as number)) / ((xs[right] as number) - (xs[left] as number));
    const eased = share * share * (3 - 2 * share);
    let best: string | null = null;
    let far = 14;
    runs.forEach((run, i) => {
      const a = dimensions[left]?.places[i];
      const b = dimensions[right]?.places[i];
      if (!inside[i] || a === null || a === undefined || b === null || b === undefined) return;
      const distance = Math.abs(yOf(a + (b - a) * eased) - y);
      if (distance < far) [far, best] = [distance, run.id];
    });
    setNote(best ? { x, y } : null);
    return best;
  };
  const brush = (event: PointerEvent<SVGElement>, id: string): void => {
    event.preventDefault();
    const area = event.currentTarget;
    const top = area.getBoundingClientRect().top;
    const placeOf = (y: number): number => Math.min(1, Math.max(0, 1 - (y - top) / inner));
    const start = placeOf(event.clientY);
    area.setPointerCapture(event.pointerId);
    const move = (now: globalThis.PointerEvent): void => {
      const end = placeOf(now.clientY);
      if (Math.abs(end - start) > 0.01) setBrushes((before) => ({ ...before, [id]: [Math.min(start, end), Math.max(start, end)] }));
    };
    const end = (now: globalThis.PointerEvent): void => {
      area.removeEventListener("pointermove", move);
      area.removeEventListener("pointerup", end);
      if (Math.abs(placeOf(now.clientY) - start) <= 0.01)
        setBrushes((before) => Object.fromEntries(Object.entries(before).filter(([key]) => key !== id)));
    };
    area.addEventListener("pointermove", move);
    area.addEventListener("pointerup", end);
  };
  const brushByKey = (event: KeyboardEvent, id: string): void => {
    const [low, high] = brushes[id] ?? [0, 1];
    const step = 0.05;
    const next: Record<string, [number, number]> = {
      ArrowUp: event.shiftKey ? [low, high + step] : [low + step, high],
      ArrowDown: event.shiftKey ? [low, high - step] : [low - step, high],
    };
    const made = next[event.key];
    if (event.key === "Escape") setBrushes((before) => Object.fromEntries(Object.entries(before).filter(([key]) => key !== id)));
    else if (made)
      setBrushes((before) => ({ ...before, [id]: [Math.max(0, Math.min(made[0], made[1])), Math.min(1, Math.max(made[0], made[1]))] }));
    else return;
    event.preventDefault();
  };
  const brushed = Object.keys(live).length > 0;
  const filter = brushed && onFilter ? filterOf(dimensions, live, runs) : null;
  const litRun = runs.findIndex((run) => run.id === lit);
  return (
    <Figure
      title="Parallel coordinates"
      note={
        brushed ? `${plural(kept, "run")} of ${runs.length} inside` : `${plural(runs.length, "run")}; drag along an axis to keep a range`
      }
      name="parallel-coordinates"
      sheet={() => ({
        head: ["run", ...dimensions.map((each) => each.name)],
        rows: runs.flatMap((run, i) =>
          inside[i] ? [[run.name, ...dimensions.map((each) => each.numbers[i] ?? each.texts[i] ?? null)]] : [],
        ),
      })}
      actions={
        brushed && (
          <>
            {onFilter && (
              <Button
                kind="primary"
                disabled={!filter}
                title={filter ?? "These are too many runs to name one by one; brush metrics"}
                onClick={() => filter && onFilter(filter)}
              >
                Filter to {plural(kept, "run")}
              </Button>
            )}
            <Button kind="quiet" onClick={() => setBrushes({})}>
              Clear
            </Button>
          </>
        )
      }
    >
      <div className="parallel-scroll" ref={box}>
        <div
          className="parallel"
          style={{ width: full, height: HEIGHT }}
          onPointerMove={(event) => onLit(nearest(event))}
          onPointerLeave={() => {
            onLit(null);
            setNote(null);
          }}
          onClick={() => {
            if (lit && note) onOpen(lit);
          }}
        >
          <canvas ref={canvas} style={{ width: full, height: HEIGHT }} aria-hidden />
          <svg width={full} height={HEIGHT} role="group" aria-label="Axes">
            {dimensions.map((each, d) => {
              const x = xs[d] as number;
              const own = live[each.id];
              const every = Math.max(1, Math.ceil(each.ticks.length / 9));
              return (
                <g key={each.id}>
                  <text x={x} y={16} textAnchor="middle" className="parallel-name">
                    <title>{each.name}</title>
                    {each.name.length > 15 ? `${each.name.slice(0, 14)}…` : each.name}
                  </text>
                  <text x={x} y={31} textAnchor="middle" className="axis-text">
                    {each.id[0] === "m" ? "metric" : each.id[0] === "p" ? "parameter" : "tag"}
                    {each.log ? ", log" : ""}
                  </text>
                  <path d={`M${x} ${TOP}V${HEIGHT - FOOT}`} className="parallel-axis" />
                  {each.ticks.map((tick, t) =>
                    t % every === 0 ? (
                      <text key={tick.label} x={x + 5} y={yOf(tick.at) + 4} className="axis-text parallel-tick">
                        {tick.label.length > 12 ? `${tick.label.slice(0, 11)}…` : tick.label}
                      </text>
                    ) : null,
                  )}
                  {own && (
                    <rect
                      x={x - 7}
                      y={yOf(own[1])}
                      width={14}
                      height={Math.max(3, (own[1] - own[0]) * inner)}
                      className="parallel-brush"
                      rx={3}
                    />
                  )}
                  <rect
                    x={x - 14}
                    y={TOP}
                    width={28}
                    height={inner}
                    fill="transparent"
                    className="parallel-grab"
                    tabIndex={0}
                    role="slider"
                    aria-label={`Range of ${each.name}. Arrows move its lower end, with Shift its upper end, Escape clears.`}
                    aria-valuemin={0}
                    aria-valuemax={100}
                    aria-valuenow={Math.round((own?.[0] ?? 0) * 100)}
                    aria-valuetext={own ? `${figure(each.valueAt(own[0]))} to ${figure(each.valueAt(own[1]))}` : "everything"}
                    onPointerDown={(event) => brush(event, each.id)}
                    onKeyDown={(event) => brushByKey(event, each.id)}
                    onClick={(event) => event.stopPropagation()}
                  />
                </g>
              );
            })}
          </svg>
          {note && litRun >= 0 && (
            <div className="curve-note" style={{ left: Math.min(note.x + 14, full - 230), top: Math.max(4, note.y - 70) }}>
              <b>{runs[litRun]?.name}</b>
              {dimensions.slice(-5).map((each) => (
                <div key={each.id} className="curve-note-row">
                  <span className="truncate dim">{each.name}</span>
                  <b>{each.kind === "number" ? figure(each.numbers[litRun]) : (each.texts[litRun] ?? "–")}</b>
                </div>
              ))}
            </div>
          )}
        </div>
      </div>
    </Figure>
  );
}
