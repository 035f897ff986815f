// Starts a rollout: the challenger, the strategy with its steps and bake time, what the judge asks for, and who has to agree.
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { post, seg } from "../../api/client.ts";
import { q } from "../../api/queries.ts";
import { useMay } from "../../api/useMay.ts";
import type { Endpoint, Strategy } from "../../api/types.ts";
import { Check, Fold, ReasonField, SelectField, TextField } from "../../ui/Fields.tsx";
import { FormDialog } from "../../ui/FormDialog.tsx";
import { toast } from "../../ui/Toasts.tsx";
import { judgeBody, UNTOUCHED } from "./judge.ts";
import { JudgeFields } from "./JudgeFields.tsx";
import { FINISHES, flawsOf, NEW, planBody, type PlanTexts } from "./plan.ts";
import { isCompared, outline, shares, STRATEGIES } from "./strategies.ts";

const NAMES = Object.entries(STRATEGIES).map(([value, { name }]) => [value as Strategy, name] as const);

export function RolloutDialog({ endpoint, onClose }: { endpoint: Endpoint; onClose: () => void }) {
  const client = useQueryClient();
  const mayApprove = useMay("approve");
  const versions = useQuery(q.modelVersions(endpoint.model));
  const model = useQuery(q.model(endpoint.model));
  const environments = useQuery(q.environments(endpoint.model)).data?.items ?? [];
  const champion = endpoint.versions.find((version) => version.role === "champion")?.version;
  const others = (versions.data?.items ?? []).map((version) => String(version.version)).filter((version) => version !== champion);
  const [chosen, setChosen] = useState("");
  const [plan, setPlan] = useState(NEW);
  const [pickle, setPickle] = useState(false);
  const [judge, setJudge] = useState(UNTOUCHED);
  const [reason, setReason] = useState("");
  const challenger = chosen || others[0] || "";
  const { strategy, environment, approval } = plan;
  const words = STRATEGIES[strategy];
  const flaws = flawsOf(plan);
  const steps = shares(plan.steps);
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
        plan: planBody(plan),
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
  const set = (change: Partial<PlanTexts>): void => setPlan({ ...plan, ...change });
  const ready = Boolean(challenger) && rules !== null && Object.keys(flaws).length === 0;
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
          : `${words.about} ${steps ? `${outline(strategy, steps)}.` : ""}${approval && !ruled ? " Somebody else has to agree before its first request." : agree}`
      }
    >
      {(wrong) => {
        const refused = (name: string): string | null => wrong(name, `plan.${name}`);
        const text = (
          name: "steps" | "bake" | "least" | "patience" | "floor",
          label: string,
          hint: string,
          sent: string,
          more?: { inputMode?: "decimal" | "numeric"; placeholder?: string },
        ) => (
          <TextField
            label={label}
            hint={hint}
            error={flaws[name] ?? refused(sent)}
            value={plan[name]}
            onChange={(value) => set({ [name]: value })}
            {...more}
          />
        );
        return (
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
                error={refused("strategy")}
                value={strategy}
                onChange={(next) => set({ strategy: next, steps: STRATEGIES[next].steps })}
                options={NAMES}
              />
              {text("steps", words.label, words.hint, "steps", { inputMode: "decimal" })}
              {text("bake", "Bake time", "How long each step lasts at the least", "bake_us")}
              <SelectField
                label="Promoted when"
                error={refused("finish")}
                value={plan.finish}
                onChange={(finish) => set({ finish })}
                options={FINISHES}
              />
              <ReasonField error={wrong("reason")} value={reason} onChange={setReason} />
            </div>
            <div className="form-grid">
              <SelectField
                label="Environment"
                hint="The alias that follows a promotion, with its rules"
                error={refused("environment")}
                value={environment}
                onChange={(next) => set({ environment: next })}
                options={places.map((name) => [name, name] as const)}
              />
              <div className="field">
                <span className="field-label">Approval</span>
                <Check
                  checked={approval || ruled}
                  disabled={ruled}
                  error={refused("approval")}
                  onChange={(next) => set({ approval: next })}
                >
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
                {text("least", "Requests of a step", "That the challenger answers at the least", "min_requests", { inputMode: "numeric" })}
                {text("patience", "Patience", "It goes back when nothing is decided by then", "patience_us", {
                  placeholder: "without end",
                })}
                {strategy === "bandit" && text("floor", "Least share, percent", "Of either version", "floor", { inputMode: "decimal" })}
                {isCompared(strategy) && (
                  <SelectField
                    label="What was gained"
                    error={refused("reward")}
                    value={plan.reward}
                    onChange={(reward) => set({ reward })}
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
        );
      }}
    </FormDialog>
  );
}
