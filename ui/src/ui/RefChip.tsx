// A ref as a chip that leads to its page: kind icon and short name, the whole ref on hover.
import { hrefOf, labelOf, splitRef } from "../paths.ts";
import { A } from "./A.tsx";
import { Icon, type IconName } from "./Icon.tsx";

export const KIND_ICON: Record<string, IconName> = {
  data: "data",
  feature: "features",
  run: "experiments",
  experiment: "experiments",
  model: "models",
  endpoint: "endpoints",
  "batch-prediction": "table",
  monitor: "monitors",
  prediction: "play",
  "pipeline-run": "pipelines",
  pipeline: "pipelines",
  alert: "alerts",
  commit: "file",
};

export function RefChip({ of, label }: { of: string; label?: string }) {
  const [kind] = splitRef(of);
  const href = hrefOf(of);
  const inner = (
    <>
      <Icon name={KIND_ICON[kind] ?? "file"} size={13} />
      <span className="truncate">{label ?? labelOf(of)}</span>
    </>
  );
  return href ? (
    <A className="chip" href={href} title={of}>
      {inner}
    </A>
  ) : (
    <span className="chip" title={of}>
      {inner}
    </span>
  );
}

export interface ChipRef {
  ref: string;
  label?: string;
}

/** Groups of refs in the loop's order with an arrow from each group to the next; a long group names two and counts the rest. */
export function ChipChain({ groups }: { groups: ChipRef[][] }) {
  const shown = groups.filter((group) => group.length > 0);
  if (shown.length === 0) return null;
  return (
    <nav className="chips" aria-label="Lineage">
      {shown.map((group, i) => (
        <span key={group[0]?.ref} className="chip-step">
          {i > 0 && <Icon name="right" size={12} />}
          {group.slice(0, 2).map(({ ref, label }) => (
            <RefChip key={ref} of={ref} {...(label ? { label } : {})} />
          ))}
          {group.length > 2 && (
            <span
              className="small"
              title={group
                .slice(2)
                .map((each) => each.ref)
                .join(", ")}
            >
              +{group.length - 2}
            </span>
          )}
        </span>
      ))}
    </nav>
  );
}
