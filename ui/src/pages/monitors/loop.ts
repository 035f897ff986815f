// A loop's policy as its form has it.
import { judgeBody, judgeTexts, UNTOUCHED, withWeights, type JudgeTexts } from "../endpoints/judge.ts";
import { shares } from "../endpoints/strategies.ts";
import type { LoopPolicy } from "../../api/types.ts";
import { timeText, timeUs } from "../../format/time.ts";

export interface LoopTexts {
  pipeline: string;
  params: string;
  mode: "auto" | "suggest";
  on: LoopPolicy["on"];
  cooldown: string;
  label: string;
  key: string;
  groupBy: string;
  minAuc: string;
  aucMargin: string;
  brierMargin: string;
  mustImprove: boolean;
  steps: string;
  bake: string;
  judge: JudgeTexts;
}

const NEW: LoopTexts = {
  pipeline: "",
  params: "{}",
  mode: "auto",
  on: ["drift", "performance"],
  cooldown: "30d",
  label: "label",
  key: "",
  groupBy: "",
  minAuc: "0.5",
  aucMargin: "0.01",
  brierMargin: "0.005",
  mustImprove: false,
  steps: "20",
  bake: "0",
  judge: UNTOUCHED,
};

export function loopTexts(policy: LoopPolicy | null): LoopTexts {
  if (!policy) return NEW;
  const { gate, canary } = policy;
  return {
    pipeline: policy.pipeline,
    params: JSON.stringify(policy.params, null, 2),
    mode: policy.mode,
    on: policy.on,
    cooldown: timeText(policy.cooldown_us),
    label: gate.label,
    key: gate.key ?? "",
    groupBy: gate.group_by ?? "",
    minAuc: String(gate.min_auc),
    aucMargin: String(gate.auc_margin),
    brierMargin: String(gate.brier_margin),
    mustImprove: gate.must_improve,
    steps: (canary.steps.length ? canary.steps : [canary.weight]).join(", "),
    bake: timeText(canary.bake_us),
    judge: judgeTexts(canary.judge),
  };
}

export type Flaws = Partial<Record<keyof LoopTexts, string>>;

function paramsOf(text: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(text.trim() || "{}");
    return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : null;
  } catch {
    return null;
  }
}

/** What cannot be read, by field. */
export function flawsOf(texts: LoopTexts): Flaws {
  const found: Flaws = {};
  if (paramsOf(texts.params) === null) found.params = 'A JSON object, such as {"days": 30}';
  if (timeUs(texts.cooldown) === null) found.cooldown = "A time such as 12h or 30d";
  if (timeUs(texts.bake) === null) found.bake = "A time such as 10m, or 0";
  if (shares(texts.steps) === null) found.steps = "Numbers, separated by commas";
  for (const name of ["minAuc", "aucMargin", "brierMargin"] as const)
    if (texts[name].trim() === "" || !Number.isFinite(Number(texts[name]))) found[name] = "A number";
  if (judgeBody(texts.judge, "canary") === null) found.judge = "Numbers from 0";
  return found;
}

/** The policy as the API takes it; what the form does not show, such as the weights of the judge's limits, stays as it was. */
export function loopBody(texts: LoopTexts, model: string, before: LoopPolicy | null): Omit<LoopPolicy, "endpoint"> {
  const steps = shares(texts.steps) ?? [];
  return {
    model,
    pipeline: texts.pipeline,
    params: paramsOf(texts.params) ?? {},
    mode: texts.mode,
    on: texts.on,
    cooldown_us: timeUs(texts.cooldown) ?? 0,
    gate: {
      label: texts.label.trim(),
      key: texts.key.trim() || null,
      group_by: texts.groupBy.trim() || null,
      min_auc: Number(texts.minAuc),
      auc_margin: Number(texts.aucMargin),
      brier_margin: Number(texts.brierMargin),
      must_improve: texts.mustImprove,
    },
    canary: {
      judge: withWeights(judgeBody(texts.judge, "canary") ?? {}, before?.canary.judge ?? {}),
      weight: steps.length === 1 ? (steps[0] ?? 0) : (before?.canary.weight ?? 20),
      steps: steps.length > 1 ? steps : [],
      bake_us: timeUs(texts.bake) ?? 0,
    },
  };
}
