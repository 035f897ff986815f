// A rollout's plan as its form has it.
import type { Strategy } from "../../api/types.ts";
import { timeUs } from "../../format/time.ts";
import { isCompared, shares, STRATEGIES } from "./strategies.ts";

export const FINISHES = [
  ["", "By the strategy"],
  ["judge", "The judge finds it inside every margin"],
  ["time", "It has baked, and no harm was found"],
  ["person", "A person promotes it"],
] as const;

export interface PlanTexts {
  strategy: Strategy;
  steps: string;
  bake: string;
  least: string;
  finish: (typeof FINISHES)[number][0];
  patience: string;
  floor: string;
  reward: "loss" | "label";
  environment: string;
  approval: boolean;
}

export const NEW: PlanTexts = {
  strategy: "canary",
  steps: STRATEGIES.canary.steps,
  bake: "10m",
  least: "20",
  finish: "",
  patience: "",
  floor: "5",
  reward: "loss",
  environment: "champion",
  approval: false,
};

export type Flaws = Partial<Record<keyof PlanTexts, string>>;

/** What cannot be read, by field. */
export function flawsOf(texts: PlanTexts): Flaws {
  const found: Flaws = {};
  if (shares(texts.steps) === null) found.steps = "Numbers, separated by commas";
  if (timeUs(texts.bake) === null) found.bake = "A time such as 30s, 10m or 2h";
  if (!/^\d+$/.test(texts.least.trim())) found.least = "A whole number";
  if (texts.patience.trim() && timeUs(texts.patience) === null) found.patience = "A time such as 2h or 30d";
  if (texts.strategy === "bandit" && (!texts.floor.trim() || !Number.isFinite(Number(texts.floor)))) found.floor = "A number";
  return found;
}

/** The plan as the API takes it, of texts without a flaw. */
export function planBody(texts: PlanTexts): Record<string, unknown> {
  const { strategy, finish, environment, approval } = texts;
  return {
    strategy,
    steps: shares(texts.steps) ?? [],
    bake_us: timeUs(texts.bake) ?? 0,
    min_requests: Number(texts.least),
    environment,
    approval,
    ...(finish ? { finish } : {}),
    ...(texts.patience.trim() ? { patience_us: timeUs(texts.patience) } : {}),
    ...(strategy === "bandit" ? { floor: Number(texts.floor) } : {}),
    ...(isCompared(strategy) ? { reward: texts.reward } : {}),
  };
}
