// How much there is of everything, each figure a way in.
import { count } from "../../format/number.ts";
import { A } from "../../ui/A.tsx";

const SHOWN: [key: string, label: string, href: string][] = [
  ["datasets", "Datasets", "/data"],
  ["runs", "Runs", "/experiments"],
  ["models", "Models", "/models"],
  ["endpoints", "Endpoints", "/endpoints"],
  ["monitors", "Monitors", "/monitors"],
  ["predictions_24h", "Predictions, 24 h", "/endpoints"],
];

export function Counts({ counts }: { counts: Record<string, number> }) {
  const known = SHOWN.filter(([key]) => counts[key] !== undefined);
  return (
    <div className="counts">
      {known.map(([key, label, href]) => (
        <A key={key} href={href} title={String(counts[key])}>
          <span className="counts-value">{count(counts[key])}</span>
          <span className="counts-label">{label}</span>
        </A>
      ))}
    </div>
  );
}
