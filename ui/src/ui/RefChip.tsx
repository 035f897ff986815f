// A ref as a chip that leads to its page: kind icon and short name, the whole ref on hover.
import { hrefOf, labelOf, splitRef } from "../paths.ts";
import { A } from "./A.tsx";
import { Icon, type IconName } from "./Icon.tsx";

export const KIND_ICON: Record<string, IconName> = {
  data: "data", feature: "features", run: "experiments", experiment: "experiments", model: "models", endpoint: "endpoints", monitor: "monitors",
  prediction: "play", "pipeline-run": "pipelines", pipeline: "pipelines", alert: "alerts", commit: "file",
};

export function RefChip({ of, label }: { of: string; label?: string }) {
  const [kind] = splitRef(of);
  const href = hrefOf(of);
  const inner = <><Icon name={KIND_ICON[kind] ?? "file"} size={13} /><span className="truncate">{label ?? labelOf(of)}</span></>;
  return href ? <A className="chip" href={href} title={of}>{inner}</A> : <span className="chip" title={of}>{inner}</span>;
}

/** Refs in the loop's order with arrows between them. */
export function ChipChain({ refs }: { refs: { ref: string; label?: string }[] }) {
  if (refs.length === 0) return null;
  return (
    <nav className="chips" aria-label="Lineage">
      {refs.map(({ ref, label }, i) => (
        <span key={ref} className="row chip-step">
          {i > 0 && <Icon name="right" size={12} />}
          <RefChip of={ref} {...(label ? { label } : {})} />
        </span>
      ))}
    </nav>
  );
}
