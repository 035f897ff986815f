// Starts a rollout: the challenger, the strategy with its steps and bake time, what the judge asks for, and who has to agree.
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { post, seg } from "../../api/client.ts";
import { q } from "../../api/queries.ts";
import { useMay } from "../../api/useMay.ts";
import type { Endpoint, Strategy } from "../../api/types.ts";
import { timeUs } from "../../format/time.ts";
import { Check, Fold, ReasonField, SelectField, TextField } from "../../ui/Fields.tsx";
import { FormDialog } from "../../ui/FormDialog.tsx";
import { toast } from "../../ui/Toasts.tsx";
import { judgeBody, UNTOUCHED } from "./judge.ts";
import { JudgeFields } from "./JudgeFields.tsx";
import { outline, shares, STRATEGIES } from "./strategies.ts";

const FINISHES = [
  ["", "By the strategy"],
  ["judge", "The judge finds it inside every margin"],
  ["time", "It has baked, and no harm was found"],
  ["person", "A person promotes it"],
] as const;
type Finish = (typeof FINISHES)[number][0];

const NAMES = Object.entries(STRATEGIES).map(([value, { name }]) => [value as Strategy, name] as const);
const whole = (text: string): number | null => (/^\d+$/.test(text.trim()) ? Number(text) : null);

export function RolloutDialog({ endpoint, onClose }: { endpoint: Endpoint; onClose: () => void }) {
  const client = useQueryClient();
  const mayApprove = useMay("approve");
  const versions = useQuery(q.modelVersions(endpoint.model));
  const model = useQuery(q.model(endpoint.model));
  const environments = useQuery(q.environments(endpoint.model)).data?.items ?? [];
  const champion = endpoint.versions.find((version) => version.role === "champion")?.version;
  const others = (versions.data?.items ?? []).map((version) => String(version.version)).filter((version) => version !== champion);
  const [chosen, setChosen] = useState("");
  const [strategy, setStrategy] = useState<Strategy>("canary");
  const [steps, setSteps] = useState(STRATEGIES.canary.steps);
  const [bake, setBake] = useState("10m");
  const [least, setLeast] = useState("20");
  const [finish, setFinish] = useState<Finish>("");
  const [patience, setPatience] = useState("");
  const [floor, setFloor] = useState("5");
  const [reward, setReward] = useState<"loss" | "label">("loss");
  const [environment, setEnvironment] = useState("champion");
  const [approval, setApproval] = useState(false);
  const [pickle, setPickle] = useState(false);
  const [judge, setJudge] = useState(UNTOUCHED);
  const [reason, setReason] = useState("");
  const challenger = chosen || others[0] || "";
  const words = STRATEGIES[strategy];
  const compared = strategy === "ab" || strategy === "bandit";
  const wantedSteps = shares(steps);
  const bakeUs = timeUs(bake);
  const leastRequests = whole(least);
  const patienceUs = patience.trim() ? timeUs(patience) : undefined;
  const leastShare = Number(floor);
  const rules = judgeBody(judge, strategy);
  const rule = environments.find((each) => each.environment.name === environment)?.environment;
  const ruled = rule?.role === "approver" || rule?.role === "admin";
  const places = [
    ...new Set(["champion", ...environments.map((each) => each.environment.name), ...Object.keys(model.data?.aliases ?? {})]),
  ];
  const start = useMutation({
    mutationFn: () =>
      post(`/endpoints/${seg(endpoint.name)}/rollouts`, {
        challenger,
        plan: {
          strategy,
          steps: wantedSteps ?? [],
          bake_us: bakeUs ?? 0,
          min_requests: leastRequests,
          environment,
          approval,
          ...(finish ? { finish } : {}),
          ...(patienceUs === undefined ? {} : { patience_us: patienceUs }),
          ...(strategy === "bandit" ? { floor: leastShare } : {}),
          ...(compared ? { reward } : {}),
        },
        judge: rules,
        allow_pickle: pickle,
        reason,
      }),
    onSuccess: () => {
      toast(`${words.name} of v${challenger} started`);
      void client.invalidateQueries({ queryKey: ["endpoints"] });
      onClose();
    },
  });
  const ready =
    Boolean(challenger) &&
    wantedSteps !== null &&
    bakeUs !== null &&
    leastRequests !== null &&
    patienceUs !== null &&
    rules !== null &&
    Number.isFinite(leastShare);
  const agree = ruled ? ` ${rule.role === "admin" ? "An admin" : "An approver"} other than you has to agree before its first request.` : "";
  return (
    <FormDialog
      title={`Roll out a version at ${endpoint.name}`}
      verb="Start"
      icon="promote"
      act={start}
      ready={ready}
      wide
      onClose={onClose}
      note={
        others.length === 0 && versions.isSuccess
          ? "There is no other version to roll out."
          : `${words.about} ${wantedSteps ? `${outline(strategy, wantedSteps)}.` : ""}${approval && !ruled ? " Somebody else has to agree before its first request." : agree}`
      }
    >
      {(wrong) => (
        <>
          <div className="form-grid">
            <SelectField
              label="Challenger"
              hint={champion ? `against v${champion}, the champion` : ""}
              error={wrong("challenger", "version")}
              value={challenger}
              onChange={setChosen}
              options={others.map((version) => [version, `${endpoint.model} v${version}`] as const)}
            />
            <SelectField
              label="Strategy"
              error={wrong("strategy", "plan.strategy")}
              value={strategy}
              onChange={(next) => {
                setStrategy(next);
                setSteps(STRATEGIES[next].steps);
              }}
              options={NAMES}
            />
            <TextField
              label={words.label}
              hint={words.hint}
              error={wantedSteps === null ? "Numbers, separated by commas" : wrong("steps", "plan.steps")}
              inputMode="decimal"
              value={steps}
              onChange={setSteps}
            />
            <TextField
              label="Bake time"
              hint="How long each step lasts at the least"
              error={bakeUs === null ? "A time such as 30s, 10m or 2h" : wrong("bake_us", "plan.bake_us")}
              value={bake}
              onChange={setBake}
            />
            <SelectField
              label="Promoted when"
              error={wrong("finish", "plan.finish")}
              value={finish}
              onChange={setFinish}
              options={FINISHES}
            />
            <ReasonField error={wrong("reason")} value={reason} onChange={setReason} />
          </div>
          <div className="form-grid">
            <SelectField
              label="Environment"
              hint="The alias that follows a promotion, with its rules"
              error={wrong("environment", "plan.environment")}
              value={environment}
              onChange={setEnvironment}
              options={places.map((name) => [name, name] as const)}
            />
            <div className="field">
              <span className="field-label">Approval</span>
              <Check checked={approval || ruled} disabled={ruled} error={wrong("approval", "plan.approval")} onChange={setApproval}>
                Somebody else has to approve it first
              </Check>
              <div className="field-hint">
                {ruled
                  ? `The rules of ${environment} ask for ${rule.role === "admin" ? "an admin" : "an approver"}`
                  : "An approver, and not who starts it"}
              </div>
            </div>
          </div>
          <Fold label="What the judge asks for">
            <JudgeFields texts={judge} strategy={strategy} wrong={wrong} onChange={setJudge} />
          </Fold>
          <Fold label="More">
            <div className="form-grid">
              <TextField
                label="Requests of a step"
                hint="That the challenger answers at the least"
                inputMode="numeric"
                error={leastRequests === null ? "A whole number" : wrong("min_requests", "plan.min_requests")}
                value={least}
                onChange={setLeast}
              />
              <TextField
                label="Patience"
                hint="It goes back when nothing is decided by then"
                placeholder="without end"
                error={patienceUs === null ? "A time such as 2h or 30d" : wrong("patience_us", "plan.patience_us")}
                value={patience}
                onChange={setPatience}
              />
              {strategy === "bandit" && (
                <TextField
                  label="Least share, percent"
                  hint="Of either version"
                  inputMode="decimal"
                  error={Number.isFinite(leastShare) ? wrong("floor", "plan.floor") : "A number"}
                  value={floor}
                  onChange={setFloor}
                />
              )}
              {compared && (
                <SelectField
                  label="What was gained"
                  error={wrong("reward", "plan.reward")}
                  value={reward}
                  onChange={setReward}
                  options={[
                    ["loss", "predictions, measured by their labels"],
                    ["label", "the labels themselves, such as clicks"],
                  ]}
                />
              )}
            </div>
            {mayApprove && (
              <Check checked={pickle} error={wrong("allow_pickle")} onChange={setPickle}>
                Load unsafe formats, which run code from the file
              </Check>
            )}
          </Fold>
        </>
      )}
    </FormDialog>
  );
}
