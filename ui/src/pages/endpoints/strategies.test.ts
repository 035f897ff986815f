import assert from "node:assert/strict";
import { test } from "node:test";
import { outline, shares } from "./strategies.ts";

test("shares are read", () => {
  assert.deepEqual(shares("5, 25,50"), [5, 25, 50]);
  for (const wrong of ["", "5,,6", "a"]) assert.equal(shares(wrong), null);
});

test("a plan is told in a line", () => {
  assert.equal(outline("canary", [5, 25]), "5 % → 25 % → all");
  assert.equal(outline("linear", [40]), "40 % → 80 % → all");
  assert.equal(outline("ab", [30]), "70 % champion, 30 % challenger");
});
