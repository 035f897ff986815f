import assert from "node:assert/strict";
import { test } from "node:test";
import { policyBody, textsOf } from "./policy.ts";

test("a policy comes back as it was", () => {
  const policy = { window_us: 86_400e6, arl: 1000, drift_tolerance: 0.02, alarm_on: ["drift"] };
  assert.deepEqual(policyBody(textsOf(policy)), policy);
  assert.deepEqual(policyBody(textsOf()), { alarm_on: ["drift", "performance"] });
});

test("what cannot be read is not sent", () => {
  assert.equal(policyBody({ ...textsOf(), texts: { window_us: "soon" } }), null);
  assert.equal(policyBody({ ...textsOf(), texts: { arl: "x" } }), null);
});
