// Features by windows: grey up to the threshold, the alarm colour above it, a dot where the alarm rang; arrows move, Enter picks.
import { useEffect, useMemo, useState, type KeyboardEvent } from "react";
import { useSize } from "../ui/useSize.ts";
import "./charts.css";
import { bucketOf, BUCKETS } from "./heat.ts";

/** `ratio` is null where there is no verdict; `hollow` where there was a window all the same. */
export interface HeatCell {
  ratio: number | null;
  alarm: boolean;
  text: string;
  hollow?: boolean;
}
interface Props {
  label: string;
  rows: string[];
  columns: { key: string; tick: string; marker?: string | null }[];
  cell: (row: number, column: number) => HeatCell;
  picked: { row: number; column: number } | null;
  onPick: (row: number, column: number) => void;
}

const TICK = 74;

export function HeatMap({ label, rows, columns, cell, picked, onPick }: Props) {
  const [box, width] = useSize<HTMLDivElement>();
  const [over, setOver] = useState<{ row: number; column: number } | null>(null);
  const line = rows.length <= 12 ? 30 : 22;
  const names = Math.min(150, Math.max(72, width * 0.16));
  const step = columns.length ? Math.max(7, (width - names) / columns.length) : 0;
  const paths = useMemo(() => {
    const d = BUCKETS.map(() => "");
    let dots = "";
    let hollow = "";
    rows.forEach((_, r) =>
      columns.forEach((_column, c) => {
        const { ratio, alarm, hollow: bare } = cell(r, c);
        const x = names + c * step;
        if (bare) hollow += `M${(x + 1).toFixed(1)} ${r * line + 1.5}h${(step - 2).toFixed(1)}v${line - 3}h-${(step - 2).toFixed(1)}z`;
        if (ratio === null) return;
        d[bucketOf(ratio)] += `M${(x + 0.5).toFixed(1)} ${r * line + 1}h${(step - 1).toFixed(1)}v${line - 2}h-${(step - 1).toFixed(1)}z`;
        if (alarm) dots += `M${(x + step / 2 - 2).toFixed(1)} ${r * line + line / 2}a2 2 0 1 0 4 0a2 2 0 1 0-4 0`;
      }),
    );
    return { d, dots, hollow };
  }, [rows, columns, cell, names, step, line]);

  useEffect(() => {
    if (box.current) box.current.scrollLeft = box.current.scrollWidth;
  }, [box, width, columns.length]);
  const at = over ?? picked;
  const spot = at ? cell(at.row, at.column) : null;
  const key = (event: KeyboardEvent): void => {
    const move = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
    const from = at ?? { row: 0, column: columns.length - 1 };
    if (move)
      setOver({
        row: Math.min(rows.length - 1, Math.max(0, from.row + (move[0] ?? 0))),
        column: Math.min(columns.length - 1, Math.max(0, from.column + (move[1] ?? 0))),
      });
    else if (event.key === "Enter") onPick(from.row, from.column);
    else return;
    event.preventDefault();
  };
  const locate = (event: { clientX: number; clientY: number; currentTarget: Element }): { row: number; column: number } | null => {
    const rect = event.currentTarget.getBoundingClientRect();
    const column = Math.floor((event.clientX - rect.left - names) / step);
    const row = Math.floor((event.clientY - rect.top) / line);
    return column >= 0 && column < columns.length && row >= 0 && row < rows.length ? { row, column } : null;
  };
  const height = rows.length * line;
  const every = Math.max(1, Math.ceil(TICK / Math.max(1, step)));
  const full = names + step * columns.length;
  return (
    <div className="heat">
      <div
        ref={box}
        className="heat-scroll"
        tabIndex={0}
        role="group"
        aria-label={`${label}. Arrow keys move, Enter opens.`}
        onKeyDown={key}
        onBlur={() => setOver(null)}
      >
        {width > 0 && (
          <svg
            width={full}
            height={height + 36}
            onPointerMove={(event) => setOver(locate(event))}
            onPointerLeave={() => setOver(null)}
            onClick={(event) => {
              const hit = locate(event);
              if (hit) onPick(hit.row, hit.column);
            }}
          >
            {rows.map((row, r) => (
              <text key={row} x={0} y={r * line + line / 2 + 4} className={`heat-name ${at?.row === r ? "is-on" : ""}`}>
                {row.length > names / 7 ? `${row.slice(0, Math.floor(names / 7) - 1)}…` : row}
              </text>
            ))}
            {paths.d.map((d, b) => d && <path key={b} d={d} className={`heat-${b}`} />)}
            <path d={paths.hollow} className="heat-hollow" />
            <path d={paths.dots} className="heat-dot" />
            {columns.map((column, c) => (
              <g key={column.key}>
                {column.marker && (
                  <>
                    <path d={`M${names + c * step} 0V${height + 4}`} className="heat-marker" />
                    <text x={names + c * step + 3} y={height + 14} className="axis-text heat-marker-text">
                      {column.marker}
                    </text>
                  </>
                )}
                {c % every === 0 && names + c * step < full - 36 && (
                  <text x={names + c * step} y={height + 30} className="axis-text">
                    {column.tick}
                  </text>
                )}
              </g>
            ))}
            {[picked, over].map(
              (cellAt, i) =>
                cellAt && (
                  <rect
                    key={i}
                    x={names + cellAt.column * step}
                    y={cellAt.row * line}
                    width={step}
                    height={line}
                    rx={2}
                    className={i ? "heat-over" : "heat-picked"}
                  />
                ),
            )}
          </svg>
        )}
      </div>
      <div className="heat-foot">
        <span className="truncate" aria-live="polite">
          {spot?.text ?? "Point at a cell to read it, click to compare its distribution with the reference."}
        </span>
        <span className="heat-legend" aria-hidden>
          <span className="faint">0</span>
          {BUCKETS.map((_, b) => (
            <svg key={b} width={14} height={10}>
              <rect width={14} height={10} className={`heat-${b}`} />
            </svg>
          ))}
          <span className="faint">2× threshold</span>
        </span>
      </div>
    </div>
  );
}
