// The gates a version went through: each check's value and interval against its threshold.
import { useQuery } from "@tanstack/react-query";
import { q } from "../../api/queries.ts";
import type { Gate, GateCheck } from "../../api/types.ts";
import { IntervalRows, type Evidence } from "../../charts/IntervalRows.tsx";
import { number } from "../../format/number.ts";
import { Badge, State } from "../../ui/Badge.tsx";
import { Card } from "../../ui/Card.tsx";
import { QueryView } from "../../ui/QueryView.tsx";
import { Empty } from "../../ui/States.tsx";
import { Time } from "../../ui/Time.tsx";

const evidence = (check: GateCheck): Evidence => ({
  key: check.name,
  name: check.name.replace(/_/g, " "),
  detail: check.detail,
  value: check.value ?? null,
  low: check.low ?? null,
  high: check.high ?? null,
  limits: typeof check.threshold === "number" ? [{ value: check.threshold, label: `limit ${number(check.threshold)}` }] : [],
  tone: check.passed ? "open" : "bad",
  verdict: (
    <Badge tone={check.passed ? "neutral" : "alarm"} icon={check.passed ? "check" : "cross"}>
      {check.passed ? "passed" : "failed"}
    </Badge>
  ),
});

function GateCard({ gate }: { gate: Gate }) {
  const passed = gate.checks.filter((check) => check.passed).length;
  return (
    <Card
      title={`Gate: ${passed} of ${gate.checks.length} checks`}
      note={
        <>
          {gate.champion !== null && `against v${gate.champion}, `}
          <Time us={gate.at_us} />
        </>
      }
      actions={<State of={gate.verdict} />}
      flush
    >
      <IntervalRows label="Checks of the gate" rows={gate.checks.map(evidence)} />
    </Card>
  );
}

export function Gates({ name, version }: { name: string; version: string }) {
  const query = useQuery(q.gates(name, version));
  return (
    <QueryView
      query={query}
      empty={(data) =>
        data.items.length ? null : (
          <Card title="Gate">
            <Empty title="Not gated">
              This version has not been through a gate. The loop gates each candidate before it may serve; what a person deploys by hand can
              be gated too.
            </Empty>
          </Card>
        )
      }
    >
      {(data) => (
        <div className="stack">
          {data.items.map((gate) => (
            <GateCard key={gate.id} gate={gate} />
          ))}
        </div>
      )}
    </QueryView>
  );
}
