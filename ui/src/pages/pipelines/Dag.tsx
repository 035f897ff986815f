// The steps of a run as a graph from left to right: state, time taken, and whether the cache answered.
import { useMemo } from "react";
import type { PipelineStep } from "../../api/types.ts";
import { geometry, layered, path } from "../../layout/layered.ts";
import { Icon, type IconName } from "../../ui/Icon.tsx";
import { useSize } from "../../ui/useSize.ts";
import { Elapsed } from "../../ui/Time.tsx";

const BOX = { least: 128, most: 168, height: 48 };
const ICON: Record<string, IconName> = {
  succeeded: "check",
  failed: "cross",
  running: "retrain",
  skipped: "minus",
  cancelled: "minus",
  waiting: "minus",
  queued: "minus",
};

interface Props {
  steps: PipelineStep[];
  picked: string | null;
  onPick: (name: string) => void;
}

export function Dag({ steps, picked, onPick }: Props) {
  const edges = useMemo(() => steps.flatMap((step) => step.needs.map((from) => ({ from, to: step.name }))), [steps]);
  const names = steps.map((step) => step.name).join("\n");
  const [box, room] = useSize<HTMLDivElement>();
  const placed = useMemo(() => layered(names.split("\n"), edges), [names, edges]);
  const at = geometry(placed, room, BOX);
  return (
    <div ref={box} className="dag-scroll">
      <div className="dag-canvas" style={{ width: at.width, height: at.height }}>
        <svg width={at.width} height={at.height} aria-hidden>
          {edges.map((edge) => {
            const d = path(placed, at, edge);
            const target = steps.find((step) => step.name === edge.to);
            return (
              d && <path key={`${edge.from}>${edge.to}`} d={d} className={`dag-edge ${target?.state === "running" ? "is-live" : ""}`} />
            );
          })}
        </svg>
        <ol>
          {steps.map((step) => {
            const spot = placed.spots.get(step.name);
            return (
              spot && (
                <li key={step.name} style={{ left: at.x(spot.layer), top: at.y(spot.row), width: at.boxWidth, height: at.boxHeight }}>
                  <button
                    type="button"
                    data-nav=""
                    className={`dag-step step-${step.state} ${step.cached ? "is-cached" : ""}`}
                    aria-pressed={picked === step.name}
                    onClick={() => onPick(step.name)}
                    title={step.needs.length ? `${step.name}, after ${step.needs.join(", ")}` : step.name}
                  >
                    <span className="dag-icon">
                      <Icon name={ICON[step.state] ?? "minus"} size={13} />
                    </span>
                    <span className="dag-text">
                      <span className="truncate">{step.name}</span>
                      <span className="dag-sub">
                        {step.cached ? (
                          "cached"
                        ) : step.state === "succeeded" || step.state === "running" || step.state === "failed" ? (
                          <Elapsed from={step.started_us} to={step.ended_us} />
                        ) : (
                          step.state
                        )}
                      </span>
                    </span>
                  </button>
                </li>
              )
            );
          })}
        </ol>
      </div>
    </div>
  );
}
