// A metric that was logged once: its figure, or one bar a run when several are compared.
import { SERIES } from "../../design/theme.ts";
import { exact, figure } from "../../format/number.ts";
import "./experiments.css";

export function SingleValues({ values }: { values: { run: string; value: number | null; color?: string }[] }) {
  const only = values[0];
  if (values.length === 1 && only)
    return (
      <p className="single" title={exact(only.value)}>
        {figure(only.value, 4)}
      </p>
    );
  const known = values.map((each) => each.value).filter((value): value is number => value !== null);
  const low = Math.min(0, ...known);
  const span = Math.max(0, ...known) - low || 1;
  return (
    <ul className="singles">
      {values.map(({ run, value, color }, i) => (
        <li key={`${run}-${i}`} title={exact(value)}>
          <span className="truncate">{run}</span>
          <span className="singles-bar">
            {value !== null && (
              <span
                style={{
                  left: `${((Math.min(0, value) - low) / span) * 100}%`,
                  width: `${(Math.abs(value) / span) * 100}%`,
                  background: `var(${color ?? SERIES[i % SERIES.length]})`,
                }}
              />
            )}
          </span>
          <b className="num">{figure(value, 4)}</b>
        </li>
      ))}
    </ul>
  );
}
