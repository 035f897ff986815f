// A distribution as bars, the reference behind it as a stepped outline; shares when the two have different sizes.
import { number, percent } from "../format/number.ts";
import { useSize } from "../ui/useSize.ts";
import "./charts.css";

interface Props { label: string; edges: (number | string)[]; counts: number[]; reference?: number[] | null; height?: number; color?: string }

const shares = (counts: number[]): number[] => {
  const total = counts.reduce((sum, count) => sum + count, 0) || 1;
  return counts.map((count) => count / total);
};

export function Histogram({ label, edges, counts, reference, height = 140, color = "--series-1" }: Props) {
  const [box, width] = useSize<HTMLDivElement>();
  const bars = shares(counts);
  const outline = reference ? shares(reference) : null;
  const top = Math.max(...bars, ...(outline ?? [0])) || 1;
  const plot = height - 20;
  const step = width / Math.max(1, bars.length);
  const y = (share: number): number => plot - (share / top) * (plot - 6);
  const named = edges.length === counts.length;
  const nameOf = (i: number): string => (named ? String(edges[i]) : `${number(Number(edges[i]))} to ${number(Number(edges[i + 1]))}`);
  const ticks = named ? edges.map((_, i) => i).filter((i) => step > 34 || i % Math.ceil(34 / step) === 0) : [0, 0.25, 0.5, 0.75, 1].map((part) => Math.round(part * (edges.length - 1)));
  return (
    <div ref={box} className="histogram">
      <svg width={width} height={height} role="img" aria-label={label}>
        {bars.map((share, i) => (
          <g key={i}>
            <rect x={i * step + (step > 6 ? 1 : 0.3)} y={y(share)} width={Math.max(0.8, step - (step > 6 ? 2 : 0.6))} height={plot - y(share)} fill={`var(${color})`} opacity={outline ? 0.75 : 0.85} rx={step > 8 ? 1.5 : 0} />
            <rect x={i * step} y={0} width={step} height={plot} fill="transparent"><title>{`${nameOf(i)}: ${percent(share)}${outline ? `, reference ${percent(outline[i] ?? 0)}` : ` (${number(counts[i])})`}`}</title></rect>
          </g>
        ))}
        {outline && <path d={outline.map((share, i) => `${i === 0 ? "M" : "L"}${i * step} ${y(share)}H${(i + 1) * step}`).join("")} fill="none" stroke="var(--reference)" strokeWidth={2} strokeDasharray="5 3" pointerEvents="none" />}
        <path d={`M0 ${plot + 0.5}H${width}`} stroke="var(--line-strong)" />
        {ticks.map((i, t) => {
          const x = named ? (i + 0.5) * step : i * step;
          const anchor = named ? "middle" : t === 0 ? "start" : t === ticks.length - 1 ? "end" : "middle";
          return <text key={i} x={x} y={height - 5} textAnchor={anchor} className="axis-text">{named ? String(edges[i]).slice(0, 8) : number(Number(edges[i]))}</text>;
        })}
      </svg>
    </div>
  );
}
