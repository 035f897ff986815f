import assert from "node:assert/strict";
import { test } from "node:test";
import { commonEdges, rebin } from "./rebin.ts";

test("counts are spread by overlap and none is lost inside the range", () => {
  const from = { edges: [0, 10, 20], counts: [10, 30] };
  assert.deepEqual(rebin(from, [0, 5, 15, 20]), [5, 20, 15]);
  const edges = commonEdges(from, { edges: [5, 40], counts: [7] });
  assert.equal(edges.length, 3);
  assert.equal(
    rebin(from, edges).reduce((sum, count) => sum + count, 0),
    40,
  );
});
