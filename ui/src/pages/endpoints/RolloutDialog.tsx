// Starts a rollout: the challenger, the strategy with its steps and bake time, and what has to be shown before promotion.
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { post, Problem, seg } from "../../api/client.ts";
import { q } from "../../api/queries.ts";
import type { Endpoint, Strategy } from "../../api/types.ts";
import { Button } from "../../ui/Button.tsx";
import { Dialog } from "../../ui/Dialog.tsx";
import { Field } from "../../ui/Field.tsx";
import { toast } from "../../ui/Toasts.tsx";
import { outline, shares, STRATEGIES, timeUs } from "./strategies.ts";

const FINISHES: [value: string, text: string][] = [
  ["", "By the strategy"],
  ["judge", "The judge finds it inside every margin"],
  ["time", "It has baked, and no harm was found"],
  ["person", "A person promotes it"],
];

export function RolloutDialog({ endpoint, onClose }: { endpoint: Endpoint; onClose: () => void }) {
  const client = useQueryClient();
  const versions = useQuery(q.modelVersions(endpoint.model));
  const champion = endpoint.versions.find((version) => version.role === "champion")?.version;
  const others = (versions.data?.items ?? []).map((version) => String(version.version)).filter((version) => version !== champion);
  const [chosen, setChosen] = useState("");
  const [strategy, setStrategy] = useState<Strategy>("canary");
  const [steps, setSteps] = useState(STRATEGIES.canary.steps);
  const [bake, setBake] = useState("10m");
  const [finish, setFinish] = useState("");
  const [approval, setApproval] = useState(false);
  const [reason, setReason] = useState("");
  const challenger = chosen || others[0] || "";
  const words = STRATEGIES[strategy];
  const wantedSteps = shares(steps);
  const bakeUs = timeUs(bake);
  const start = useMutation({
    mutationFn: () =>
      post(`/endpoints/${seg(endpoint.name)}/rollouts`, {
        challenger,
        plan: { strategy, steps: wantedSteps ?? [], bake_us: bakeUs ?? 0, approval, ...(finish ? { finish } : {}) },
        reason,
      }),
    onSuccess: () => {
      toast(`${words.name} of v${challenger} started`);
      void client.invalidateQueries({ queryKey: ["endpoints"] });
      onClose();
    },
  });
  const refused = (...fields: string[]): string | null =>
    start.error instanceof Problem && fields.includes(start.error.field ?? "") ? start.error.message : null;
  const wrongSteps = wantedSteps === null ? "Numbers, separated by commas" : refused("steps");
  const wrongBake = bakeUs === null ? "A time such as 30s, 10m or 2h" : refused("bake_us");
  const elsewhere = start.error && !refused("steps", "bake_us", "challenger") ? start.error.message : null;
  return (
    <Dialog
      title={`Roll out a version at ${endpoint.name}`}
      onClose={onClose}
      footer={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button
            kind="primary"
            icon="promote"
            busy={start.isPending}
            disabled={!challenger || wantedSteps === null || bakeUs === null}
            onClick={() => start.mutate()}
          >
            Start
          </Button>
        </>
      }
    >
      <div className="grid-2 ro-form">
        <Field label="Challenger" hint={champion ? `against v${champion}, the champion` : ""} error={refused("challenger")}>
          <select className="select" value={challenger} onChange={(event) => setChosen(event.target.value)}>
            {others.map((version) => (
              <option key={version} value={version}>
                {endpoint.model} v{version}
              </option>
            ))}
          </select>
        </Field>
        <Field label="Strategy">
          <select
            className="select"
            value={strategy}
            onChange={(event) => {
              const next = event.target.value as Strategy;
              setStrategy(next);
              setSteps(STRATEGIES[next].steps);
            }}
          >
            {Object.entries(STRATEGIES).map(([value, { name }]) => (
              <option key={value} value={value}>
                {name}
              </option>
            ))}
          </select>
        </Field>
        <Field label={words.label} hint={words.hint} error={wrongSteps}>
          <input className="input" inputMode="decimal" value={steps} onChange={(event) => setSteps(event.target.value)} />
        </Field>
        <Field label="Bake time" hint="How long each step lasts at the least" error={wrongBake}>
          <input className="input" value={bake} onChange={(event) => setBake(event.target.value)} />
        </Field>
        <Field label="Promoted when">
          <select className="select" value={finish} onChange={(event) => setFinish(event.target.value)}>
            {FINISHES.map(([value, text]) => (
              <option key={value} value={value}>
                {text}
              </option>
            ))}
          </select>
        </Field>
        <Field label="Reason" hint="Stands in the history and the audit trail">
          <input className="input" value={reason} onChange={(event) => setReason(event.target.value)} />
        </Field>
      </div>
      <label className="row">
        <input type="checkbox" checked={approval} onChange={(event) => setApproval(event.target.checked)} />
        Somebody else has to approve it first
      </label>
      <div className={`callout ${elsewhere ? "callout-alarm" : ""}`} role="status">
        <span>
          {elsewhere ??
            (others.length === 0 && versions.isSuccess
              ? "There is no other version to roll out."
              : `${words.about} ${wantedSteps ? `${outline(strategy, wantedSteps)}.` : ""}`)}
        </span>
      </div>
    </Dialog>
  );
}
