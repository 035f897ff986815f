import assert from "node:assert/strict";
import { test } from "node:test";
import { placed } from "./intervals.ts";
import { joined, smoothed, withGaps } from "./series.ts";

test("missing time becomes one empty sample", () => {
  const { xs, columns } = withGaps([0, 10, 20, 60, 70], [[1, 2, 3, 4, 5]]);
  assert.deepEqual(xs, [0, 10, 20, 30, 60, 70]);
  assert.deepEqual(columns[0], [1, 2, 3, null, 4, 5]);
});

test("curves with different steps share one axis; absence is not a gap", () => {
  const { xs, columns } = joined([
    { xs: [0, 2], ys: [1, null] },
    { xs: [1, 2], ys: [5, 6] },
  ]);
  assert.deepEqual(xs, [0, 1, 2]);
  assert.deepEqual(columns, [
    [1, undefined, null],
    [undefined, 5, 6],
  ]);
});

test("smoothing starts without bias, keeps gaps, and a constant stays one", () => {
  const result = smoothed([4, null, 4, 4], 0.9);
  assert.equal(result[1], null);
  for (const value of [result[0], result[2], result[3]]) assert.ok(Math.abs((value as number) - 4) < 1e-12);
});

test("an interval lies inside its scale with its limits", () => {
  const at = placed({ value: 1, low: 0, high: 2, marks: [4] });
  assert.ok(at && at.low !== null && at.low > 0 && (at.marks[0] as number) < 100);
  assert.ok((at.low as number) < (at.value as number) && (at.value as number) < (at.high as number));
  assert.equal(placed({ value: null, low: null, high: null, marks: [] }), null);
});
