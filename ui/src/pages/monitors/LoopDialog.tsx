// Says what happens by itself when an endpoint's monitor alarms: the retraining, its gate and the canary.
import { useInfiniteQuery, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { put, seg } from "../../api/client.ts";
import { flat, q } from "../../api/queries.ts";
import type { LoopPolicy } from "../../api/types.ts";
import { Field } from "../../ui/Field.tsx";
import { Check, Fold, SelectField, TextField } from "../../ui/Fields.tsx";
import { FormDialog } from "../../ui/FormDialog.tsx";
import { toast } from "../../ui/Toasts.tsx";
import { JudgeFields } from "../endpoints/JudgeFields.tsx";
import { flawsOf, loopBody, loopTexts, type LoopTexts } from "./loop.ts";
import { Causes } from "./PolicyFields.tsx";

interface Props {
  endpoint: string;
  policy: LoopPolicy | null;
  onClose: () => void;
}

export function LoopDialog({ endpoint, policy, onClose }: Props) {
  const client = useQueryClient();
  const pipelines = flat(useInfiniteQuery(q.pipelines()).data);
  const served = useQuery(q.endpoint(endpoint)).data?.model;
  const model = served ?? policy?.model ?? "";
  const [texts, setTexts] = useState(() => loopTexts(policy));
  const flaws = flawsOf(texts);
  const pipeline = texts.pipeline || (pipelines.length === 1 ? (pipelines[0]?.name ?? "") : "");
  const save = useMutation({
    mutationFn: () => put(`/loops/${seg(endpoint)}`, loopBody({ ...texts, pipeline }, model, policy)),
    onSuccess: () => {
      toast(`The loop of ${endpoint} is set`);
      void client.invalidateQueries({ queryKey: ["loops"] });
      onClose();
    },
  });
  const set = (change: Partial<LoopTexts>): void => setTexts({ ...texts, ...change });
  const text = (name: keyof LoopTexts, label: string, hint: string, refused: string | null) => (
    <TextField
      label={label}
      hint={hint}
      error={flaws[name] ?? refused}
      value={String(texts[name])}
      onChange={(value) => set({ [name]: value })}
    />
  );
  const begins = texts.mode === "auto" ? "starts a retraining" : "suggests a retraining, which a person starts";
  return (
    <FormDialog
      title={`What follows an alarm at ${endpoint}`}
      verb={policy ? "Change it" : "Set it"}
      icon="retrain"
      act={save}
      ready={model !== "" && pipeline !== "" && texts.on.length > 0 && Object.keys(flaws).length === 0}
      wide
      onClose={onClose}
      note={`An alarm on ${texts.on.join(" or ") || "nothing"} ${begins} by ${pipeline || "a pipeline"}. What it makes of ${model || "the model"} passes the gate, then the canary, and is promoted or taken back.`}
    >
      {(wrong) => (
        <>
          <div className="form-grid">
            <SelectField
              label="Pipeline"
              hint="Returns the candidate and the data it is gated on"
              error={wrong("pipeline", "pipeline-not-found", "model")}
              value={pipeline}
              onChange={(value) => set({ pipeline: value })}
              options={[
                ...(pipeline ? [] : [["", pipelines.length ? "choose" : "no pipeline is registered yet"] as const]),
                ...pipelines.map((each) => [each.name, each.name] as const),
              ]}
            />
            <SelectField
              label="An alarm"
              error={wrong("mode")}
              value={texts.mode}
              onChange={(mode) => set({ mode })}
              options={[
                ["auto", "starts the retraining"],
                ["suggest", "suggests it, and a person starts it"],
              ]}
            />
            {text("cooldown", "Cool-down", "Between the alarms that are followed", wrong("cooldown_us"))}
            <Causes label="Alarms that count" chosen={texts.on} error={wrong("on")} onChange={(on) => set({ on })} />
          </div>
          <Field
            label="Parameters of the pipeline"
            hint={"JSON; the text “{event_us}” becomes the moment of the alarm"}
            error={flaws.params ?? wrong("params")}
          >
            <textarea
              className="input mono"
              rows={3}
              spellCheck={false}
              value={texts.params}
              onChange={(event) => set({ params: event.target.value })}
            />
          </Field>
          <Fold label="The gate">
            <div className="form-grid">
              {text("label", "Column of the truth", "0 or 1, in the evaluation data", wrong("gate.label"))}
              {text("groupBy", "Rows belong together by", "A column; empty where rows are independent", wrong("gate.group_by"))}
              {text("key", "Rows are matched by", "A column, where champion and candidate read other tables", wrong("gate.key"))}
              {text("minAuc", "Least ROC AUC", "Of the candidate", wrong("gate.min_auc"))}
              {text("aucMargin", "Loss of ROC AUC nobody minds", "Against the champion", wrong("gate.auc_margin"))}
              {text("brierMargin", "Rise of the Brier score nobody minds", "Against the champion", wrong("gate.brier_margin"))}
            </div>
            <Check checked={texts.mustImprove} error={wrong("gate.must_improve")} onChange={(mustImprove) => set({ mustImprove })}>
              The candidate has to be better than the champion
            </Check>
          </Fold>
          <Fold label="The canary">
            <div className="form-grid">
              {text("steps", "Steps, percent", "Growing shares of the requests", wrong("canary.steps", "canary.weight", "steps"))}
              {text("bake", "Bake time", "How long each step lasts at the least", wrong("canary.bake_us", "bake_us"))}
            </div>
          </Fold>
          <Fold label="What its judge asks for">
            <JudgeFields texts={texts.judge} strategy="canary" wrong={wrong} onChange={(judge) => set({ judge })} />
          </Fold>
        </>
      )}
    </FormDialog>
  );
}
