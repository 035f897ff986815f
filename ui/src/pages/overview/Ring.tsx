// The loop as a ring of stages with their live state; on narrow screens the stages follow as a list.
import type { Stage, StageName } from "../../api/types.ts";
import { A } from "../../ui/A.tsx";
import { Icon, type IconName } from "../../ui/Icon.tsx";
import { useSize } from "../../ui/useSize.ts";
import { arc, spots } from "./ring.ts";

const ICON: Record<StageName, IconName> = {
  data: "data",
  features: "features",
  training: "experiments",
  evaluation: "gate",
  registry: "models",
  rollout: "canary",
  serving: "endpoints",
  monitoring: "monitors",
  alerting: "alerts",
  retraining: "retrain",
};
const WORD: Record<Stage["state"], string> = {
  ok: "in order",
  active: "under way",
  waiting: "waiting",
  alarm: "needs a look",
  empty: "nothing yet",
};

const named = (stage: Stage): string => stage.name.charAt(0).toUpperCase() + stage.name.slice(1);

function Centre({ stages }: { stages: Stage[] }) {
  const alarms = stages.filter((stage) => stage.state === "alarm");
  const active = stages.filter((stage) => stage.state === "active");
  const lead = active[0] ?? alarms[0];
  const empty = stages.every((stage) => stage.state === "empty");
  return (
    <div className="ring-centre">
      <span className={`ring-word ${active.length ? "is-active" : alarms.length ? "is-alarm" : ""}`}>
        {lead ? `${named(lead)} ${WORD[lead.state]}` : empty ? "Not moving yet" : "Holding course"}
      </span>
      <span className="ring-lead">{lead?.headline ?? (empty ? "Nothing is in the loop" : "Nothing to steer")}</span>
    </div>
  );
}

export function Ring({ stages }: { stages: Stage[] }) {
  const [ref, width] = useSize<HTMLDivElement>();
  const compact = width > 0 && width < 500;
  const height = compact ? 280 : 452;
  const cx = width / 2;
  const cy = height / 2;
  const r = compact ? 112 : Math.min(150, width * 0.255);
  const n = stages.length;
  const at = spots(n, cx, cy, r);
  return (
    <div className={`ring ${compact ? "ring-compact" : ""}`} ref={ref}>
      <div className="ring-figure" style={{ height }}>
        {width > 0 && (
          <>
            <svg width={width} height={height} aria-hidden>
              {stages.map((stage, i) => {
                const next = stages[(i + 1) % n];
                const live = stage.state === "active" || next?.state === "active";
                const dead = stage.state === "empty" && next?.state === "empty";
                return (
                  <path
                    key={stage.name}
                    d={arc(i, n, cx, cy, r, 27)}
                    className={`ring-arc ${live ? "is-active" : dead ? "is-empty" : ""}`}
                  />
                );
              })}
            </svg>
            <Centre stages={stages} />
            <ol>
              {stages.map((stage, i) => {
                const spot = at[i];
                const room =
                  compact || !spot || spot.side === "top" || spot.side === "bottom"
                    ? undefined
                    : (spot.side === "right" ? width - spot.x : spot.x) + 22 - 12;
                return (
                  spot && (
                    <li key={stage.name} className={`ring-stage is-${stage.state} at-${spot.side}`} style={{ left: spot.x, top: spot.y }}>
                      <A
                        href={stage.href || "/"}
                        style={{ maxWidth: room }}
                        title={[stage.headline, stage.detail].filter(Boolean).join(" · ")}
                      >
                        <span className="ring-node">
                          <Icon name={ICON[stage.name]} size={17} />
                        </span>
                        <span className="ring-text">
                          <span className="ring-name">
                            {named(stage)}
                            <span className="sr-only">, {WORD[stage.state]}</span>
                          </span>
                          {!compact && <span className="ring-head">{stage.headline || WORD[stage.state]}</span>}
                        </span>
                      </A>
                    </li>
                  )
                );
              })}
            </ol>
          </>
        )}
      </div>
      {compact && (
        <ol className="ring-list">
          {stages.map((stage) => (
            <li key={stage.name} className={`is-${stage.state}`}>
              <A href={stage.href || "/"}>
                <span className="ring-dot" aria-hidden />
                <span className="ring-name">{named(stage)}</span>
                <span className="truncate dim grow">{stage.headline || WORD[stage.state]}</span>
              </A>
            </li>
          ))}
        </ol>
      )}
    </div>
  );
}
