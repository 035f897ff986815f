// The steps of a run as a graph from left to right: state, time taken, and whether the cache answered.
import { useMemo } from "react";
import type { PipelineStep } from "../../api/types.ts";
import { curve, layered } from "../../layout/layered.ts";
import { Icon, type IconName } from "../../ui/Icon.tsx";
import { Elapsed } from "../../ui/Time.tsx";

const BOX = { width: 158, height: 48, gapX: 44, gapY: 16, pad: 20 };
const ICON: Record<string, IconName> = { succeeded: "check", failed: "cross", running: "retrain", skipped: "minus", cancelled: "minus", waiting: "minus", queued: "minus" };

interface Props { steps: PipelineStep[]; picked: string | null; onPick: (name: string) => void }

export function Dag({ steps, picked, onPick }: Props) {
  const edges = useMemo(() => steps.flatMap((step) => step.needs.map((from) => ({ from, to: step.name }))), [steps]);
  const names = steps.map((step) => step.name).join("\n");
  const { spots, layers, rows } = useMemo(() => layered(names.split("\n"), edges), [names, edges]);
  const x = (layer: number): number => BOX.pad + layer * (BOX.width + BOX.gapX);
  const y = (row: number): number => BOX.pad + row * (BOX.height + BOX.gapY);
  const width = x(layers - 1) + BOX.width + BOX.pad;
  const height = y(rows - 1) + BOX.height + BOX.pad;
  return (
    <div className="dag-scroll">
      <div className="dag-canvas" style={{ width, height }}>
        <svg width={width} height={height} aria-hidden>
          {edges.map(({ from, to }) => {
            const a = spots.get(from);
            const b = spots.get(to);
            const target = steps.find((step) => step.name === to);
            return a && b && <path key={`${from}>${to}`} d={curve(x(a.layer) + BOX.width, y(a.row) + BOX.height / 2, x(b.layer), y(b.row) + BOX.height / 2)} className={`dag-edge ${target?.state === "running" ? "is-live" : ""}`} />;
          })}
        </svg>
        <ol>
          {steps.map((step) => {
            const spot = spots.get(step.name);
            return spot && (
              <li key={step.name} style={{ left: x(spot.layer), top: y(spot.row), width: BOX.width, height: BOX.height }}>
                <button type="button" data-nav="" className={`dag-step step-${step.state} ${step.cached ? "is-cached" : ""}`} aria-pressed={picked === step.name} onClick={() => onPick(step.name)} title={step.needs.length ? `${step.name}, after ${step.needs.join(", ")}` : step.name}>
                  <span className="dag-icon"><Icon name={ICON[step.state] ?? "minus"} size={13} /></span>
                  <span className="dag-text"><span className="truncate">{step.name}</span><span className="dag-sub">{step.cached ? "cached" : step.state === "succeeded" || step.state === "running" || step.state === "failed" ? <Elapsed from={step.started_us} to={step.ended_us} /> : step.state}</span></span>
                </button>
              </li>
            );
          })}
        </ol>
      </div>
    </div>
  );
}
