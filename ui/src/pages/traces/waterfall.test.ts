import assert from "node:assert/strict";
import { test } from "node:test";
import type { Span } from "../../api/types.ts";
import { barOf, hiddenBelow, lengthOf } from "./waterfall.ts";

const span = (id: string, parent_id: string | null, offset_us: number, duration_us: number | null): Span => ({
  id,
  parent_id,
  depth: 0,
  name: id,
  type: null,
  status: "OK",
  message: null,
  offset_us,
  duration_us,
  inputs: null,
  outputs: null,
  attributes: {},
  events: [],
});

test("bars lie within the trace", () => {
  const spans = [span("a", null, 0, 100), span("b", "a", 50, 25), span("c", "a", 90, null)];
  assert.equal(lengthOf(spans), 100);
  assert.deepEqual(
    spans.map((one) => barOf(one, 100)),
    [
      { left: 0, width: 100 },
      { left: 50, width: 25 },
      { left: 90, width: 10 },
    ],
  );
  assert.equal(lengthOf([]), 1);
});

test("folding hides what is below", () => {
  const spans = [span("a", null, 0, 9), span("b", "a", 0, 9), span("c", "b", 0, 9), span("d", "a", 0, 9)];
  assert.deepEqual([...hiddenBelow(spans, new Set(["b"]))], ["c"]);
  assert.deepEqual([...hiddenBelow(spans, new Set(["a"]))], ["b", "c", "d"]);
});
