// Rollouts with their steps and what the judge found, as intervals of challenger minus champion.
import { useQuery } from "@tanstack/react-query";
import { q } from "../../api/queries.ts";
import type { JudgeResult, Rollout } from "../../api/types.ts";
import { IntervalRows, type Evidence, type Limit } from "../../charts/IntervalRows.tsx";
import { count, number } from "../../format/number.ts";
import { duration } from "../../format/time.ts";
import { Badge, State, type Tone } from "../../ui/Badge.tsx";
import { Card } from "../../ui/Card.tsx";
import { QueryView } from "../../ui/QueryView.tsx";
import { Empty } from "../../ui/States.tsx";
import { Elapsed, Time } from "../../ui/Time.tsx";

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
        {count(result.n_champion)} against {count(result.n_challenger)} rows
      </>
    ),
    verdict: (
      <Badge
        tone={tone}
        title={result.e_value === null ? "" : `e-value ${number(result.e_value)} of ${number(result.e_needed)} needed to call it harm`}
      >
        {text}
      </Badge>
    ),
  };
}

function Steps({ rollout }: { rollout: Rollout }) {
  const done = rollout.state === "promoted" ? [...rollout.steps, { weight: 100, at_us: rollout.ended_us ?? 0, seconds: 0 }] : rollout.steps;
  return (
    <ol className="ro-steps" aria-label="Steps">
      {done.map((step, i) => (
        <li key={`${step.weight}-${step.at_us}`} className={rollout.state === "running" && i === done.length - 1 ? "is-live" : ""}>
          <b>{number(step.weight)} %</b>
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
      {rollout.state === "rolled-back" && (
        <li className="is-bad">
          <b>0 %</b>
          <span className="faint small">rolled back</span>
        </li>
      )}
    </ol>
  );
}

function RolloutCard({ rollout }: { rollout: Rollout }) {
  return (
    <Card
      title={
        <>
          v{rollout.challenger} <span className="dim">against</span> v{rollout.champion}
        </>
      }
      note={
        <>
          <Time us={rollout.started_us} /> · <Elapsed from={rollout.started_us} to={rollout.ended_us} />
          {rollout.reason && ` · ${rollout.reason}`}
        </>
      }
      actions={<State of={rollout.state} />}
      flush
    >
      <Steps rollout={rollout} />
      {rollout.judge.length > 0 && (
        <>
          <p className="ro-note small faint">Challenger against champion. The intervals stay valid however often one looks.</p>
          <IntervalRows label={`Evidence on v${rollout.challenger}`} rows={rollout.judge.map(evidence)} />
        </>
      )}
    </Card>
  );
}

export function Rollouts({ endpoint }: { endpoint: string }) {
  const query = useQuery(q.rollouts(endpoint));
  return (
    <QueryView
      query={query}
      empty={(data) =>
        data.items.length ? null : (
          <Card>
            <Empty title="No rollout yet" code={`trimtab endpoints deploy ${endpoint} models:/MODEL/2 --weight 10 --wait`}>
              A rollout sends a growing part of the requests to a challenger and judges it against the champion at each step.
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
