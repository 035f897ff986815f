// A distribution as bars, the reference behind it as a stepped outline; shares when the two have different sizes.
import { number, percent } from "../format/number.ts";
import { useSize } from "../ui/useSize.ts";
import "./charts.css";

export interface HistogramCell {
  name: string;
  tick: string;
}
interface Props {
  label: string;
  cells: HistogramCell[];
  counts: number[];
  reference?: number[] | null;
  height?: number;
  color?: string;
}

/** Cells of a histogram with numeric edges. */
export const binCells = (edges: number[]): HistogramCell[] =>
  edges.slice(1).map((upper, i) => ({ name: `${number(edges[i])} to ${number(upper)}`, tick: number(edges[i]) }));

const shares = (counts: number[]): number[] => {
  const total = counts.reduce((sum, count) => sum + count, 0) || 1;
  return counts.map((count) => count / total);
};

const LETTER = 6.6;
const MOST_LETTERS = 11;

export function Histogram({ label, cells, counts, reference, height = 140, color = "--series-1" }: Props) {
  const [box, width] = useSize<HTMLDivElement>();
  const bars = shares(counts);
  const outline = reference ? shares(reference) : null;
  const top = Math.max(...bars, ...(outline ?? [0])) || 1;
  const plot = height - 20;
  const step = width / Math.max(1, bars.length);
  const y = (share: number): number => plot - (share / top) * (plot - 6);
  const longest = Math.min(MOST_LETTERS, Math.max(...cells.map((cell) => cell.tick.length)));
  const every = Math.max(1, Math.ceil((longest * LETTER + 10) / Math.max(1, step)));
  return (
    <div ref={box} className="histogram">
      <svg width={width} height={height} role="img" aria-label={label}>
        {bars.map((share, i) => (
          <g key={i}>
            <rect
              x={i * step + (step > 6 ? 1 : 0.3)}
              y={y(share)}
              width={Math.max(0.8, step - (step > 6 ? 2 : 0.6))}
              height={plot - y(share)}
              fill={`var(${color})`}
              opacity={outline ? 0.75 : 0.85}
              rx={step > 8 ? 1.5 : 0}
            />
            <rect x={i * step} y={0} width={step} height={plot} fill="transparent">
              <title>{`${cells[i]?.name ?? ""}: ${percent(share)}${outline ? `, reference ${percent(outline[i] ?? 0)}` : ` (${number(counts[i])})`}`}</title>
            </rect>
          </g>
        ))}
        {outline && (
          <path
            d={outline.map((share, i) => `${i === 0 ? "M" : "L"}${i * step} ${y(share)}H${(i + 1) * step}`).join("")}
            fill="none"
            stroke="var(--reference)"
            strokeWidth={2}
            strokeDasharray="5 3"
            pointerEvents="none"
          />
        )}
        <path d={`M0 ${plot + 0.5}H${width}`} stroke="var(--line-strong)" />
        {cells.map((cell, i) =>
          i % every === 0 && cell.tick ? (
            <text key={i} x={i === 0 ? 0 : (i + 0.5) * step} y={height - 5} textAnchor={i === 0 ? "start" : "middle"} className="axis-text">
              {cell.tick.slice(0, MOST_LETTERS)}
            </text>
          ) : null,
        )}
      </svg>
    </div>
  );
}
