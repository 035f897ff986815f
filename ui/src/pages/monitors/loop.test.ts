import assert from "node:assert/strict";
import { test } from "node:test";
import { flawsOf, loopBody, loopTexts } from "./loop.ts";

const POLICY = {
  endpoint: "flights",
  model: "flights",
  pipeline: "retrain",
  params: { until_us: "{event_us}" },
  mode: "suggest" as const,
  on: ["drift" as const],
  cooldown_us: 43_200e6,
  gate: { label: "late", key: null, group_by: "day", min_auc: 0.6, auc_margin: 0.02, brier_margin: 0.01, must_improve: true },
  canary: { weight: 20, judge: { alpha: 0.01, quality: { weight: 0.5 } }, steps: [5, 50], bake_us: 600e6 },
};

test("a policy comes back as it was, with what the form does not show", () => {
  const { endpoint: _, ...body } = POLICY;
  assert.deepEqual(loopBody(loopTexts(POLICY), "flights", POLICY), body);
  const one = { ...POLICY, canary: { ...POLICY.canary, steps: [], weight: 30 } };
  assert.deepEqual(loopBody(loopTexts(one), "flights", one).canary, one.canary);
});

test("what cannot be read is named", () => {
  assert.deepEqual(flawsOf(loopTexts(null)), {});
  const texts = { ...loopTexts(null), params: "[1]", cooldown: "soon", steps: "a", minAuc: "" };
  assert.deepEqual(Object.keys(flawsOf(texts)).sort(), ["cooldown", "minAuc", "params", "steps"]);
});
