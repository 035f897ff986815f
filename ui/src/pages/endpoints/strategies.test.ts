import assert from "node:assert/strict";
import { test } from "node:test";
import { outline, shares, timeUs } from "./strategies.ts";

test("times are read", () => {
  assert.equal(timeUs("10m"), 600e6);
  assert.equal(timeUs("1h 30m"), 5400e6);
  assert.equal(timeUs("0"), 0);
  for (const wrong of ["", "10", "m", "10x", "1m!"]) assert.equal(timeUs(wrong), null);
});

test("shares are read", () => {
  assert.deepEqual(shares("5, 25,50"), [5, 25, 50]);
  for (const wrong of ["", "5,,6", "a"]) assert.equal(shares(wrong), null);
});

test("a plan is told in a line", () => {
  assert.equal(outline("canary", [5, 25]), "5 % → 25 % → all");
  assert.equal(outline("linear", [40]), "40 % → 80 % → all");
  assert.equal(outline("ab", [30]), "70 % champion, 30 % challenger");
});
