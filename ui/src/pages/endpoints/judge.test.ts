import assert from "node:assert/strict";
import { test } from "node:test";
import { judgeBody, judgeTexts, UNTOUCHED, withWeights } from "./judge.ts";

test("only what someone said is sent to the judge", () => {
  assert.deepEqual(judgeBody(UNTOUCHED, "canary"), {});
  assert.deepEqual(judgeBody(UNTOUCHED, "shadow"), {});
  const limits = { latency: { judged: false }, quality: { margin: "0.02", required: true }, errors: { harm: " ", required: true } };
  const texts = { ...UNTOUCHED, numbers: { alpha: "0.01", min_rows: "" }, limits };
  assert.deepEqual(judgeBody(texts, "canary"), { alpha: 0.01, latency: null, quality: { margin: 0.02, required: true } });
});

test("a latency of copies is judged where it is asked for", () => {
  assert.deepEqual(judgeBody({ ...UNTOUCHED, limits: { latency: { judged: true } } }, "shadow"), { latency: {} });
  assert.deepEqual(judgeBody({ ...UNTOUCHED, limits: { latency: { judged: false } } }, "shadow"), {});
});

test("the target is named where the better version is looked for", () => {
  assert.deepEqual(judgeBody({ ...UNTOUCHED, target: "errors" }, "ab"), { target: "errors" });
  assert.deepEqual(judgeBody({ ...UNTOUCHED, target: "errors" }, "canary"), {});
});

test("what is no number is not sent", () => {
  assert.equal(judgeBody({ ...UNTOUCHED, numbers: { alpha: "x" } }, "canary"), null);
  assert.equal(judgeBody({ ...UNTOUCHED, limits: { errors: { harm: "-1" } } }, "canary"), null);
});

test("a stored policy comes back as it was", () => {
  const policy = {
    alpha: 0.01,
    latency: null,
    predictions: { harm: 0.4, weight: 0 },
    quality: { margin: 0.02, required: true },
    goal: "better",
    target: "errors",
  };
  assert.deepEqual(withWeights(judgeBody(judgeTexts(policy), "canary") ?? {}, policy), policy);
  assert.deepEqual(judgeBody(judgeTexts({}), "canary"), {});
});
