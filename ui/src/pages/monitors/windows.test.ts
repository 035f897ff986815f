import assert from "node:assert/strict";
import { test } from "node:test";
import type { MonitorWindow } from "../../api/types.ts";
import { performanceLines, versionChanges, withMissing } from "./windows.ts";

const window = (day: number, version: string, labelled = 100): MonitorWindow => ({
  start_us: day * 10e6,
  end_us: (day + 1) * 10e6,
  rows: 100,
  labelled,
  provisional: labelled < 100,
  drift: null,
  performance: { metrics: { brier: { value: day, low: day - 1, high: day + 1, reference: 2 } } },
  version_counts: { [version]: 100 },
});

test("missing windows leave empty slots", () => {
  assert.deepEqual(
    withMissing([window(0, "1"), window(3, "1")]).map((slot) => slot.at),
    [0, null, null, 1],
  );
});

test("version changes are where most rows have another version", () => {
  assert.deepEqual(versionChanges([window(0, "1"), window(1, "1"), window(2, "2")]), [
    { index: 0, version: "1" },
    { index: 2, version: "2" },
  ]);
});

test("windows with few labels are drawn apart, joined to the last settled one", () => {
  const { series, reference } = performanceLines([window(0, "1"), window(1, "1"), window(2, "1", 10)], "brier");
  assert.deepEqual(series[0]?.values, [0, 1, null]);
  assert.deepEqual(series[1]?.values, [null, 1, 2]);
  assert.equal(reference, 2);
});
