// Rollouts with their steps and what the judge found, as intervals of challenger minus champion, and the acts that end them.
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { q } from "../../api/queries.ts";
import { useMay } from "../../api/useMay.ts";
import type { JudgeResult, Rollout } from "../../api/types.ts";
import { IntervalRows, type Evidence, type Limit } from "../../charts/IntervalRows.tsx";
import { count, number, weight } from "../../format/number.ts";
import { duration } from "../../format/time.ts";
import { actorName } from "../../format/who.ts";
import { Badge, State, type Tone } from "../../ui/Badge.tsx";
import { Button } from "../../ui/Button.tsx";
import { Card } from "../../ui/Card.tsx";
import { QueryView } from "../../ui/QueryView.tsx";
import { Empty } from "../../ui/States.tsx";
import { Elapsed, Time, useNow } from "../../ui/Time.tsx";
import { RolloutAct, type Act } from "./RolloutAct.tsx";
import { STRATEGIES } from "./strategies.ts";

const KINDS: Record<string, [name: string, unit: string, difference: boolean]> = {
  errors: ["Error rate", "difference", true],
  latency: ["Latency, p95", "ratio", false],
  predictions: ["Predictions", "distance of the distributions", false],
  "prediction-mean": ["Mean prediction", "shift of the mean rank", true],
  quality: ["Quality", "difference of the mean loss", true],
};
const FINDING: Record<string, [text: string, tone: Tone, of: Evidence["tone"]]> = {
  harm: ["harm", "alarm", "bad"],
  safe: ["safe", "active", "good"],
  open: ["open", "waiting", "open"],
};
const NEVER = 1e100;

/** How far an e-value is on its way to what is needed, on the scale on which evidence adds up. */
const progress = (value: number, needed: number): number => (value <= 1 ? 0 : Math.min(100, (100 * Math.log(value)) / Math.log(needed)));

function Meter({ label, value, needed }: { label: string; value: number | null | undefined; needed: number | null | undefined }) {
  if (value === null || value === undefined || !needed || needed > NEVER) return null;
  const shown = value >= 1e6 ? "over a million" : number(value);
  return (
    <span className={`e-meter e-${label}`} title={`Largest e-value for “${label}” so far: ${shown} of ${number(needed)} needed`}>
      <span className="e-name">{label}</span>
      <span className="e-track" aria-hidden>
        <span style={{ width: `${progress(value, needed)}%` }} />
      </span>
      <span className="e-number num">
        {value >= 1e6 ? ">1M" : number(value)}
        <span className="faint"> / {number(needed)}</span>
      </span>
    </span>
  );
}

function evidence(result: JudgeResult): Evidence {
  const [name, unit, difference] = KINDS[result.name] ?? [result.name, "", false];
  const [text, tone, of] = FINDING[result.verdict] ?? [result.verdict, "waiting", "open"];
  const limits: Limit[] = [
    ...(typeof result.harm === "number" ? [{ value: result.harm, label: `harm above ${number(result.harm)}`, harm: true }] : []),
    ...(typeof result.margin === "number" ? [{ value: result.margin, label: `safe below ${number(result.margin)}` }] : []),
  ];
  return {
    key: result.name,
    name: unit ? `${name}, ${unit}` : name,
    value: result.value,
    low: result.low,
    high: result.high,
    limits,
    tone: of,
    difference,
    detail: (
      <>
        {count(result.n_champion)} against {count(result.n_challenger)} requests
        <span className="e-meters">
          <Meter label="harm" value={result.e_value} needed={result.e_needed} />
          <Meter label="safe" value={result.safe_e_value} needed={result.safe_e_needed} />
          <Meter label="better" value={result.better_e_value} needed={result.better_e_needed} />
        </span>
      </>
    ),
    verdict: <Badge tone={tone}>{text}</Badge>,
  };
}

const shareOf = (rollout: Rollout, step: number): string =>
  rollout.strategy === "blue-green" ? "100 %" : rollout.strategy === "shadow" ? `${number(step)} % copies` : `${number(step)} %`;

function Steps({ rollout }: { rollout: Rollout }) {
  const planned =
    rollout.state === "running" && (rollout.strategy === "canary" || rollout.strategy === "linear")
      ? [...rollout.plan.steps.slice(rollout.steps.length), 100]
      : [];
  const last = rollout.steps.length - 1;
  return (
    <ol className="ro-steps" aria-label="Steps">
      {rollout.steps.map((step, i) => (
        <li key={`${step.weight}-${step.at_us}`} className={rollout.state === "running" && i === last ? "is-live" : ""}>
          <b>{shareOf(rollout, step.weight)}</b>
          <span className="faint small">
            {step.requests ? (
              `${count(step.requests)} requests`
            ) : step.seconds > 0 ? (
              duration(step.seconds * 1e6)
            ) : (
              <Time us={step.at_us} />
            )}
          </span>
        </li>
      ))}
      {planned.map((step, i) => (
        <li key={`planned-${step}`} className="is-planned">
          <b>{number(step)} %</b>
          <span className="faint small">{i === 0 && rollout.steps.length > 0 ? "next" : "later"}</span>
        </li>
      ))}
      {rollout.state === "promoted" && (
        <li>
          <b>100 %</b>
          <span className="faint small">
            <Time us={rollout.ended_us} />
          </span>
        </li>
      )}
      {rollout.state === "rolled-back" && (
        <li className="is-bad">
          <b>0 %</b>
          <span className="faint small">rolled back</span>
        </li>
      )}
    </ol>
  );
}

/** What the rollout waits for, in a sentence. */
function Waiting({ rollout }: { rollout: Rollout }) {
  const now = useNow();
  if (rollout.phase === "warming") return <>Version {rollout.challenger} is being loaded; it gets its first request when it answers.</>;
  if (rollout.phase === "approval")
    return (
      <>
        An approver other than {actorName(rollout.actor)} has to agree before the first request: the rules of “{rollout.plan.environment}”
        or the plan ask for it.
      </>
    );
  const left = rollout.next_us === null ? 0 : rollout.next_us - now * 1000;
  const word = rollout.verdict.reason && `The judge: ${rollout.verdict.reason}.`;
  const time = left > 0 ? `This step goes on for at least ${duration(left)}.` : "This step has baked.";
  const size = rollout.requests_needed
    ? ` A difference of the margin takes at most about ${count(rollout.requests_needed)} labelled requests.`
    : "";
  return <>{`${rollout.strategy === "ab" ? "" : `${time} `}${word}${size}`}</>;
}

/** What the one who is here may do with a rollout that goes on. */
function Acts({ rollout, onAct }: { rollout: Rollout; onAct: (act: Act) => void }) {
  const mayWrite = useMay("write");
  const mayApprove = useMay("approve");
  const me = useQuery(q.me()).data;
  if (!mayWrite || !me) return null;
  if (rollout.phase === "step")
    return (
      <>
        <Button icon="promote" onClick={() => onAct("promote")}>
          Promote
        </Button>
        <Button onClick={() => onAct("abort")}>Abort</Button>
        <Button kind="danger" icon="back" onClick={() => onAct("rollback")}>
          Roll back
        </Button>
      </>
    );
  if (rollout.phase === "approval" && mayApprove && me.id !== rollout.actor)
    return (
      <>
        <Button kind="primary" icon="check" onClick={() => onAct("approve")}>
          Approve
        </Button>
        <Button kind="danger" icon="cross" onClick={() => onAct("deny")}>
          Deny
        </Button>
      </>
    );
  return (
    <Button kind="danger" icon="back" onClick={() => onAct("cancel")}>
      Cancel
    </Button>
  );
}

function RolloutCard({ rollout }: { rollout: Rollout }) {
  const [act, setAct] = useState<Act | null>(null);
  const running = rollout.state === "running";
  return (
    <Card
      title={
        <>
          v{rollout.challenger} <span className="dim">against</span> v{rollout.champion}
        </>
      }
      note={
        <>
          {STRATEGIES[rollout.strategy].name} · <Time us={rollout.started_us} /> ·{" "}
          <Elapsed from={rollout.started_us} to={rollout.ended_us} /> · {actorName(rollout.actor)}
          {rollout.approved_by && `, approved by ${actorName(rollout.approved_by)}`}
          {rollout.reason && ` · ${rollout.reason}`}
        </>
      }
      actions={
        <>
          <State of={running && rollout.phase !== "step" ? (rollout.phase === "approval" ? "waiting" : "starting") : rollout.state} />
          {running && <Acts rollout={rollout} onAct={setAct} />}
        </>
      }
      flush
    >
      {(rollout.steps.length > 0 || running) && <Steps rollout={rollout} />}
      {running && (
        <p className="ro-note small dim" role="status">
          <Waiting rollout={rollout} />
        </p>
      )}
      {rollout.judge.length > 0 && (
        <>
          <p className="ro-note small faint">
            Challenger against champion
            {rollout.copies > 0 && `, on copies of ${weight(rollout.copies)} of the requests`}. Intervals and e-values stay valid however
            often one looks. A bar shows the largest e-value so far: what was found stays found, and the longer bar decides first.
          </p>
          <IntervalRows label={`Evidence on v${rollout.challenger}`} rows={rollout.judge.map(evidence)} />
        </>
      )}
      {act && <RolloutAct rollout={rollout} act={act} onClose={() => setAct(null)} />}
    </Card>
  );
}

export function Rollouts({ endpoint, onStart }: { endpoint: string; onStart: () => void }) {
  const query = useQuery(q.rollouts(endpoint));
  const mayWrite = useMay("write");
  return (
    <QueryView
      query={query}
      empty={(data) =>
        data.items.length ? null : (
          <Card>
            <Empty title="No rollout yet" code={`trimtab rollouts start ${endpoint} 2 --steps 5,25,50 --bake 10m`}>
              A rollout sends a growing part of the requests to a challenger and judges it against the champion at each step.
              {mayWrite && (
                <p>
                  <Button kind="primary" icon="promote" onClick={onStart}>
                    Start a rollout
                  </Button>
                </p>
              )}
            </Empty>
          </Card>
        )
      }
    >
      {(data) => (
        <div className="stack">
          {data.items.map((rollout) => (
            <RolloutCard key={rollout.id} rollout={rollout} />
          ))}
        </div>
      )}
    </QueryView>
  );
}

export function RunningRollout({ endpoint }: { endpoint: string }) {
  const query = useQuery(q.rollouts(endpoint));
  const running = query.data?.items.find((rollout) => rollout.state === "running");
  return running ? <RolloutCard rollout={running} /> : null;
}
