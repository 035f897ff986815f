import assert from "node:assert/strict";
import { test } from "node:test";
import { refusals } from "./refusals.ts";

test("a refusal stands at the field that it names, at its parts' field, or at the one for its code", () => {
  const at = (field: string | null, code = "invalid") => refusals({ message: "no", field, code });
  assert.equal(at("steps").wrong("bake_us", "steps"), "no");
  assert.equal(at("plan.steps[0]").wrong("plan.steps"), "no");
  assert.equal(at("condition.where[1].field").wrong("condition.where"), "no");
  assert.equal(at("stepsize").wrong("steps"), null);
  assert.equal(at("age", "column-missing").wrong("column-missing"), "no");
});

test("what no field takes is told elsewhere", () => {
  const { wrong, elsewhere } = refusals({ message: "no", field: "seed", code: "invalid" });
  wrong("steps");
  assert.equal(elsewhere(), true);
  wrong("seed");
  assert.equal(elsewhere(), false);
  assert.equal(refusals(null).wrong("seed"), null);
});
