import assert from "node:assert/strict";
import { test } from "node:test";
import { layered, layersOf } from "./layered.ts";

test("every edge points to a later column", () => {
  const edges = [{ from: "a", to: "b" }, { from: "b", to: "d" }, { from: "a", to: "d" }, { from: "c", to: "d" }];
  const layers = layersOf(["a", "b", "c", "d"], edges);
  for (const { from, to } of edges) assert.ok((layers.get(from) as number) < (layers.get(to) as number));
  assert.equal(layers.get("d"), 2);
});

test("a cycle ends, and every node gets a place of its own", () => {
  const ids = ["a", "b", "c"];
  const { spots } = layered(ids, [{ from: "a", to: "b" }, { from: "b", to: "c" }, { from: "c", to: "a" }]);
  assert.equal(new Set([...spots.values()].map((spot) => `${spot.layer}/${spot.row}`)).size, 3);
});

test("neighbours stand beside each other, so that parallel chains do not cross", () => {
  const { spots } = layered(["x", "y", "x2", "y2"], [{ from: "x", to: "y2" }, { from: "y", to: "x2" }]);
  assert.ok((spots.get("y2")?.row as number) < (spots.get("x2")?.row as number));
});
