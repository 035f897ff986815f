import assert from "node:assert/strict";
import { test } from "node:test";
import { gather, inOrder, meanBand, smooth, valueAt, xsOf, type Line } from "./arrange.ts";

const line = (id: string, xs: number[], ys: (number | null)[]): Line => ({ id, label: id, color: "--series-1", xs, ys });

test("x is the step, the time, or the time since the start", () => {
  const curve = {
    run_id: "a",
    key: "k",
    points: [[0, 2e6, 1] as [number, number, number], [5, 4e6, 2] as [number, number, number]],
    total: 2,
    downsampled: false,
  };
  assert.deepEqual(xsOf(curve, "step"), [0, 5]);
  assert.deepEqual(xsOf(curve, "time"), [2, 4]);
  assert.deepEqual(xsOf(curve, "relative"), [0, 2]);
  assert.deepEqual(xsOf(curve, "relative", 1e6), [1, 3]);
});

test("a step logged twice counts once, in order", () => {
  assert.deepEqual(inOrder([0, 2, 1, 2], [1, 2, 3, 4]), { xs: [0, 1, 2], ys: [1, 3, 4] });
});

test("between points a curve is straight, outside and across gaps it is not there", () => {
  assert.equal(valueAt([0, 10], [0, 1], 5), 0.5);
  assert.equal(valueAt([0, 10], [0, 1], 11), null);
  assert.equal(valueAt([0, 10, 20], [0, null, 1], 15), null);
  assert.equal(valueAt([0, 10], [3, 1], 0), 3);
});

test("a group is its mean and a band, over those that reach that far", () => {
  const found = meanBand([line("a", [0, 1, 2], [1, 1, 1]), line("b", [0, 1], [3, 5])], "range");
  assert.deepEqual(found, { xs: [0, 1, 2], ys: [2, 3, 1], low: [1, 1, 1], high: [3, 5, 1] });
  const spread = meanBand([line("a", [0], [1]), line("b", [0], [3])], "std");
  assert.deepEqual([spread.ys, spread.low, spread.high], [[2], [1], [3]]);
  const groups = gather(
    [line("a", [0], [1]), line("b", [0], [3]), line("c", [0], [9])],
    (each) => (each.id === "c" ? "x" : "y"),
    String,
    "std",
  );
  assert.deepEqual(
    groups.map((each) => [each.label, each.runs, each.ys]),
    [
      ["y", 2, [2]],
      ["x", 1, [9]],
    ],
  );
});

test("smoothing is unbiased at the start and keeps the raw values", () => {
  const found = smooth(line("a", [0, 1, 2], [4, 4, 4]), 0.9);
  assert.ok(found.ys.every((y) => Math.abs((y as number) - 4) < 1e-9));
  assert.deepEqual(found.raw, [4, 4, 4]);
});
