import assert from "node:assert/strict";
import { test } from "node:test";
import { geometry, layered, layersOf, path } from "./layered.ts";

test("every edge points to a later column", () => {
  const edges = [
    { from: "a", to: "b" },
    { from: "b", to: "d" },
    { from: "a", to: "d" },
    { from: "c", to: "d" },
  ];
  const layers = layersOf(["a", "b", "c", "d"], edges);
  for (const { from, to } of edges) assert.ok((layers.get(from) as number) < (layers.get(to) as number));
  assert.equal(layers.get("d"), 2);
});

test("a cycle ends, and every node gets a place of its own", () => {
  const ids = ["a", "b", "c"];
  const { spots } = layered(ids, [
    { from: "a", to: "b" },
    { from: "b", to: "c" },
    { from: "c", to: "a" },
  ]);
  assert.equal(new Set([...spots.values()].map((spot) => `${spot.layer}/${spot.row}`)).size, 3);
});

test("neighbours stand beside each other, so that parallel chains do not cross", () => {
  const { spots } = layered(
    ["x", "y", "x2", "y2"],
    [
      { from: "x", to: "y2" },
      { from: "y", to: "x2" },
    ],
  );
  assert.ok((spots.get("y2")?.row as number) < (spots.get("x2")?.row as number));
});

test("an edge that skips a column gets a place of its own there, and the drawing fits the room", () => {
  const ids = ["load", "weather", "validate", "join"];
  const edges = [
    { from: "load", to: "validate" },
    { from: "validate", to: "join" },
    { from: "weather", to: "join" },
  ];
  const graph = layered(ids, edges);
  const [place] = graph.via({ from: "weather", to: "join" });
  assert.equal(place?.layer, 1);
  assert.notEqual(place?.row, graph.spots.get("validate")?.row);
  const at = geometry(graph, 700, { least: 120, most: 170, height: 48 });
  assert.ok(at.width <= 700);
  assert.match(path(graph, at, { from: "weather", to: "join" }) ?? "", /^M.*C.*H.*C/);
});
