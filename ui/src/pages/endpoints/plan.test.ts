import assert from "node:assert/strict";
import { test } from "node:test";
import { flawsOf, NEW, planBody } from "./plan.ts";

test("a plan that nobody touched is a canary with the strategy's own end", () => {
  assert.deepEqual(flawsOf(NEW), {});
  assert.deepEqual(planBody(NEW), {
    strategy: "canary",
    steps: [5, 25, 50],
    bake_us: 600_000_000,
    min_requests: 20,
    environment: "champion",
    approval: false,
  });
});

test("what a strategy does not ask for is not sent", () => {
  const texts = { ...NEW, finish: "person", patience: "2h", floor: "10", reward: "label", steps: "50" } as const;
  assert.equal(planBody(texts)["floor"], undefined);
  assert.equal(planBody(texts)["reward"], undefined);
  const split = planBody({ ...texts, strategy: "bandit" });
  assert.deepEqual([split["floor"], split["reward"], split["finish"], split["patience_us"]], [10, "label", "person", 7_200_000_000]);
});

test("texts that mean nothing are named", () => {
  const bad = { ...NEW, steps: "5, x", bake: "soon", least: "1.5", patience: "2 weeks", floor: "" };
  assert.deepEqual(Object.keys(flawsOf(bad)), ["steps", "bake", "least", "patience"]);
  assert.deepEqual(Object.keys(flawsOf({ ...NEW, strategy: "bandit", floor: " " })), ["floor"]);
});
