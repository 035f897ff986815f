// The judge's limits as a form has them: texts, of which only what someone typed is sent.
import type { Strategy } from "../../api/types.ts";
import { isCompared } from "./strategies.ts";

/** A kind of evidence, in which unit its limits are, and the limits that hold where nobody says otherwise. */
export interface Kind {
  name: string;
  label: string;
  unit: string;
  harm: number;
  margin: number;
  required: boolean;
}

// The defaults are those of science/sequential/judge.py; a test in the browser compares them.
export const KINDS: Kind[] = [
  { name: "errors", label: "Error rate", unit: "difference", harm: 0, margin: 0.01, required: true },
  { name: "latency", label: "Latency", unit: "ratio of a quantile", harm: 1.5, margin: 2, required: true },
  { name: "predictions", label: "Predictions", unit: "distance, 0 to 1", harm: 0.2, margin: 0.25, required: true },
  { name: "prediction_mean", label: "Mean prediction", unit: "shift of the mean rank", harm: 0.1, margin: 0.15, required: true },
  { name: "quality", label: "Quality", unit: "difference of the mean loss", harm: 0, margin: 0.03, required: false },
];

export const NUMBERS: [name: string, label: string, hint: string, normal: number][] = [
  ["alpha", "Chance of a false alarm", "At the most, however often the judge looks", 0.05],
  ["min_rows", "Rows of each version", "Before anything is promoted", 200],
  ["latency_quantile", "Latency quantile", "0.95 compares the slowest twentieth", 0.95],
  ["expected_error_rate", "Expected error rate", "Tunes the test, and changes no promise", 0.01],
  ["expected_loss", "Expected loss", "Tunes the test, and changes no promise", 0.2],
];

/** What is undefined is as the strategy has it. */
export interface LimitTexts {
  judged?: boolean;
  harm?: string;
  margin?: string;
  required?: boolean;
}

export interface JudgeTexts {
  numbers: Record<string, string>;
  limits: Record<string, LimitTexts>;
  goal: "" | "harmless" | "better";
  target: "quality" | "errors";
}

export const UNTOUCHED: JudgeTexts = { numbers: {}, limits: {}, goal: "", target: "quality" };

/** A copy is timed without its way from and to a caller, so that its latency is not judged unless someone asks. */
export const isJudged = (kind: Kind, strategy: Strategy): boolean =>
  !(kind.name === "latency" && (strategy === "shadow" || strategy === "blue-green"));

/** A version that is worth comparing predicts otherwise: that stops no A/B. */
export const isRequired = (kind: Kind, strategy: Strategy): boolean =>
  kind.required && !(isCompared(strategy) && kind.name.startsWith("prediction"));

export const goalOf = (texts: JudgeTexts, strategy: Strategy): "harmless" | "better" =>
  texts.goal || (isCompared(strategy) ? "better" : "harmless");

const amount = (text: string | undefined): number | null | undefined => {
  if (!text?.trim()) return undefined;
  const value = Number(text);
  return Number.isFinite(value) && value >= 0 ? value : null;
};

/** Whether a text is empty or a number from 0. */
export const isAmount = (text: string | undefined): boolean => amount(text) !== null;

/** What differs from the judge's own policy, as the API takes it; null while a text is no number. */
export function judgeBody(texts: JudgeTexts, strategy: Strategy): Record<string, unknown> | null {
  const found: Record<string, unknown> = {};
  for (const [name] of NUMBERS) {
    const value = amount(texts.numbers[name]);
    if (value === null) return null;
    if (value !== undefined) found[name] = value;
  }
  for (const kind of KINDS) {
    const { judged = isJudged(kind, strategy), harm, margin, required } = texts.limits[kind.name] ?? {};
    const [most, safe] = [amount(harm), amount(margin)];
    if (most === null || safe === null) return null;
    if (!judged) {
      if (isJudged(kind, strategy)) found[kind.name] = null;
      continue;
    }
    const limit = {
      ...(most === undefined ? {} : { harm: most }),
      ...(safe === undefined ? {} : { margin: safe }),
      ...(required === undefined || required === isRequired(kind, strategy) ? {} : { required }),
    };
    if (Object.keys(limit).length || !isJudged(kind, strategy)) found[kind.name] = limit;
  }
  if (texts.goal) found["goal"] = texts.goal;
  if (goalOf(texts, strategy) === "better" && texts.target !== "quality") found["target"] = texts.target;
  return found;
}

/** The texts of a policy that is stored, of which `judgeBody` makes the same again but for weights. */
export function judgeTexts(policy: Record<string, unknown>): JudgeTexts {
  const texts: JudgeTexts = { numbers: {}, limits: {}, goal: "", target: "quality" };
  for (const [name] of NUMBERS) if (typeof policy[name] === "number") texts.numbers[name] = String(policy[name]);
  for (const { name } of KINDS) {
    const limit = policy[name] as { harm?: number; margin?: number; required?: boolean } | null | undefined;
    if (limit === undefined) continue;
    texts.limits[name] = limit
      ? {
          judged: true,
          ...(limit.harm === undefined ? {} : { harm: String(limit.harm) }),
          ...(limit.margin === undefined ? {} : { margin: String(limit.margin) }),
          ...(limit.required === undefined ? {} : { required: limit.required }),
        }
      : { judged: false };
  }
  if (policy["goal"] === "harmless" || policy["goal"] === "better") texts.goal = policy["goal"];
  if (policy["target"] === "errors") texts.target = "errors";
  return texts;
}

/** A body with the weights of limits that a stored policy has and no form shows. */
export function withWeights(body: Record<string, unknown>, before: Record<string, unknown>): Record<string, unknown> {
  const found = { ...body };
  for (const { name } of KINDS) {
    const weight = (before[name] as { weight?: number } | null | undefined)?.weight;
    if (weight !== undefined && found[name] !== null) found[name] = { ...(found[name] as object | undefined), weight };
  }
  return found;
}
