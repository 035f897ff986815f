import assert from "node:assert/strict";
import { test } from "node:test";
import { conditionText, testsOf, textOf } from "./conditions.ts";

test("tests are read line by line", () => {
  assert.deepEqual(testsOf('state == failed\n\n  rows >= 10 \nname in ["a", "b"]\nerror exists'), [
    { field: "state", op: "==", value: "failed" },
    { field: "rows", op: ">=", value: 10 },
    { field: "name", op: "in", value: ["a", "b"] },
    { field: "error", op: "exists", value: null },
  ]);
  assert.equal(testsOf("state == failed\nrows"), 2);
  assert.equal(testsOf("rows >="), 1);
  assert.equal(testsOf("rows ~ 3"), 1);
  assert.deepEqual(testsOf(" \n"), []);
});

test("what is written is read as the same", () => {
  const tests = [
    { field: "a", op: "==", value: "10" },
    { field: "b.c", op: "!=", value: "two words" },
    { field: "d", op: "==", value: true },
    { field: "e", op: "exists", value: null },
  ];
  assert.deepEqual(testsOf(textOf(tests)), tests);
  assert.equal(conditionText({ event: "x.y", where: tests.slice(1, 3) }), "x.y where b.c != two words and d == true");
  assert.equal(conditionText(null), "reported by other parts");
});
