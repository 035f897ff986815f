// Any two of parameters and metrics against each other, coloured by a third, over a surface of what lies between if asked.
import { useEffect, useMemo, useRef, useState } from "react";
import type { Run } from "../../../api/types.ts";
import { Figure } from "../../../charts/Figure.tsx";
import { token, useThemeVersion } from "../../../design/theme.ts";
import { figure, plural } from "../../../format/number.ts";
import { useSize } from "../../../ui/useSize.ts";
import type { Dimension } from "./dimension.ts";
import { colorAt } from "./scale.ts";

const HEIGHT = 380;
const LEFT = 58;
const RIGHT = 16;
const TOP = 12;
const FOOT = 42;
const CELLS = 48;

interface Props {
  runs: Run[];
  x: Dimension;
  y: Dimension;
  color: Dimension | null;
  surface: boolean;
  lit: string | null;
  onLit: (id: string | null) => void;
  onOpen: (id: string) => void;
  controls: React.ReactNode;
}

interface Dot {
  run: Run;
  i: number;
  u: number;
  v: number;
  z: number | null;
}

/** Inverse distance weighting (Shepard 1968) of the coloured value on a grid; faint where no run is near. */
function surfaceOf(dots: Dot[]): { z: number; near: number }[] {
  const known = dots.filter((dot) => dot.z !== null);
  const cells: { z: number; near: number }[] = [];
  for (let r = 0; r < CELLS; r += 1)
    for (let c = 0; c < CELLS; c += 1) {
      const u = (c + 0.5) / CELLS;
      const v = (r + 0.5) / CELLS;
      let sum = 0;
      let weights = 0;
      let nearest = 2;
      for (const dot of known) {
        const squared = (dot.u - u) ** 2 + (dot.v - v) ** 2;
        const weight = 1 / (squared * squared + 1e-7);
        sum += weight * (dot.z as number);
        weights += weight;
        nearest = Math.min(nearest, squared);
      }
      cells.push({ z: weights ? sum / weights : 0, near: Math.exp(-nearest / 0.02) });
    }
  return cells;
}

export function Scatter({ runs, x, y, color, surface, lit, onLit, onOpen, controls }: Props) {
  const [box, width] = useSize<HTMLDivElement>();
  const canvas = useRef<HTMLCanvasElement>(null);
  const [note, setNote] = useState<{ left: number; top: number } | null>(null);
  const theme = useThemeVersion();
  const dots = useMemo<Dot[]>(
    () =>
      runs.flatMap((run, i) => {
        const u = x.places[i];
        const v = y.places[i];
        return u === null || u === undefined || v === null || v === undefined ? [] : [{ run, i, u, v, z: color?.places[i] ?? null }];
      }),
    [runs, x, y, color],
  );
  const cells = useMemo(() => (surface && color ? surfaceOf(dots.slice(0, 600)) : null), [surface, color, dots]);
  const inner = { width: Math.max(10, width - LEFT - RIGHT), height: HEIGHT - TOP - FOOT };
  const at = (dot: Dot): [number, number] => [LEFT + dot.u * inner.width, TOP + (1 - dot.v) * inner.height];

  useEffect(() => {
    const element = canvas.current;
    if (!element || width === 0) return;
    const ratio = devicePixelRatio || 1;
    element.width = width * ratio;
    element.height = HEIGHT * ratio;
    const context = element.getContext("2d");
    if (!context) return;
    context.scale(ratio, ratio);
    context.clearRect(0, 0, width, HEIGHT);
    if (cells) {
      const cw = inner.width / CELLS;
      const ch = inner.height / CELLS;
      cells.forEach((cell, k) => {
        context.fillStyle = colorAt(cell.z, 0.08 + 0.42 * cell.near);
        context.fillRect(LEFT + (k % CELLS) * cw, TOP + inner.height - (Math.floor(k / CELLS) + 1) * ch, cw + 0.6, ch + 0.6);
      });
    }
    context.strokeStyle = token("--line");
    context.lineWidth = 1;
    for (const tick of y.ticks) {
      const level = Math.round(TOP + (1 - tick.at) * inner.height) + 0.5;
      context.beginPath();
      context.moveTo(LEFT, level);
      context.lineTo(width - RIGHT, level);
      context.stroke();
    }
    const radius = dots.length > 400 ? 3 : 4.5;
    for (const dot of dots) {
      const [left, top] = at(dot);
      context.beginPath();
      context.arc(left, top, radius, 0, 7);
      context.fillStyle = color ? (dot.z === null ? token("--ink-3", 0.3) : colorAt(dot.z, 0.85)) : token("--series-1", 0.7);
      context.fill();
      if (cells) {
        context.strokeStyle = token("--bg-panel");
        context.stroke();
      }
    }
    const dot = dots.find((each) => each.run.id === lit);
    if (dot) {
      const [left, top] = at(dot);
      context.beginPath();
      context.arc(left, top, radius + 3, 0, 7);
      context.strokeStyle = token("--ink");
      context.lineWidth = 2;
      context.stroke();
    }
  }, [dots, cells, width, lit, theme, x, y, color]);

  const move = (event: React.PointerEvent<HTMLElement>): void => {
    const rect = event.currentTarget.getBoundingClientRect();
    const left = event.clientX - rect.left;
    const top = event.clientY - rect.top;
    let best: Dot | null = null;
    let far = 18;
    for (const dot of dots) {
      const [px, py] = at(dot);
      const distance = Math.hypot(px - left, py - top);
      if (distance < far) [far, best] = [distance, dot];
    }
    onLit(best?.run.id ?? null);
    setNote(best ? { left, top } : null);
  };
  const shown = dots.find((dot) => dot.run.id === lit);
  const axisTicks = x.ticks.filter((_, t) => t % Math.max(1, Math.ceil(x.ticks.length / Math.max(2, inner.width / 90))) === 0);
  return (
    <Figure
      title="Scatter"
      note={`${plural(dots.length, "run")}${dots.length < runs.length ? `, ${runs.length - dots.length} without a value` : ""}`}
      name={`${x.name}-${y.name}`}
      sheet={() => ({
        head: ["run", x.name, y.name, ...(color ? [color.name] : [])],
        rows: dots.map((dot) => [
          dot.run.name,
          x.numbers[dot.i] ?? x.texts[dot.i] ?? null,
          y.numbers[dot.i] ?? y.texts[dot.i] ?? null,
          ...(color ? [color.numbers[dot.i] ?? color.texts[dot.i] ?? null] : []),
        ]),
      })}
    >
      <div className="plot-controls">{controls}</div>
      <div
        className="scatter"
        ref={box}
        style={{ height: HEIGHT }}
        onPointerMove={move}
        onPointerLeave={() => {
          onLit(null);
          setNote(null);
        }}
        onClick={() => {
          if (lit && note) onOpen(lit);
        }}
      >
        <canvas
          ref={canvas}
          style={{ width: "100%", height: HEIGHT }}
          role="img"
          aria-label={`${y.name} by ${x.name}; the table view has the values`}
        />
        <svg width={width} height={HEIGHT} aria-hidden>
          {axisTicks.map((tick) => (
            <text key={tick.label} x={LEFT + tick.at * inner.width} y={HEIGHT - FOOT + 18} textAnchor="middle" className="axis-text">
              {tick.label.slice(0, 14)}
            </text>
          ))}
          {y.ticks.map((tick, t) =>
            t % Math.max(1, Math.ceil(y.ticks.length / 12)) === 0 ? (
              <text key={tick.label} x={LEFT - 8} y={TOP + (1 - tick.at) * inner.height + 4} textAnchor="end" className="axis-text">
                {tick.label.slice(0, 8)}
              </text>
            ) : null,
          )}
          <text x={LEFT + inner.width / 2} y={HEIGHT - 6} textAnchor="middle" className="axis-text">
            {x.name}
            {x.log ? " (log)" : ""}
          </text>
        </svg>
        {note && shown && (
          <div className="curve-note" style={{ left: Math.min(note.left + 14, width - 220), top: Math.max(4, note.top - 60) }}>
            <b>{shown.run.name}</b>
            {[x, y, ...(color && color.id !== y.id ? [color] : [])].map((each) => (
              <div key={each.id} className="curve-note-row">
                <span className="truncate dim">{each.name}</span>
                <b>{each.kind === "number" ? figure(each.numbers[shown.i]) : (each.texts[shown.i] ?? "–")}</b>
              </div>
            ))}
          </div>
        )}
      </div>
    </Figure>
  );
}
