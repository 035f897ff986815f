// A small line without axes, for tables; gaps stay gaps.
export function Sparkline({
  values,
  label,
  width = 88,
  height = 22,
  color = "--ink-3",
}: {
  values: (number | null)[];
  label: string;
  width?: number;
  height?: number;
  color?: string;
}) {
  const known = values.filter((value): value is number => value !== null && Number.isFinite(value));
  if (known.length < 2) return <span className="faint">–</span>;
  const low = Math.min(...known);
  const span = Math.max(...known) - low || 1;
  let pen = false;
  const d = values
    .map((value, i) => {
      if (value === null || !Number.isFinite(value)) {
        pen = false;
        return "";
      }
      const point = `${pen ? "L" : "M"}${((i / (values.length - 1)) * (width - 2) + 1).toFixed(1)} ${(height - 2 - ((value - low) / span) * (height - 4)).toFixed(1)}`;
      pen = true;
      return point;
    })
    .join("");
  return (
    <svg width={width} height={height} role="img" aria-label={label}>
      <path d={d} fill="none" stroke={`var(${color})`} strokeWidth={1.4} strokeLinejoin="round" />
    </svg>
  );
}
